"""The protocol unrolled: schedule of activities, windows, dose levels, planned doses."""
