"""Published clinical criteria: CTCAE, tumour lysis, flare, CLL response, staging, renal function."""
