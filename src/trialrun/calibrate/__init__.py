"""Calibrate the virtual subjects to published facts: an ensemble of weighted parameter sets."""
