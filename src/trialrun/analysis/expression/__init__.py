"""The molecular signature: what changes in the cells between two visits or two groups, with its uncertainty."""
