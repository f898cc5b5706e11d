"""Whole trials in calendar time, with the rules for the study acting inside them."""
