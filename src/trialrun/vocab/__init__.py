"""Terms and their units, study days, code lists, and how problems are told: the words every other room uses."""
