"""Response at a visit, by the standard that the protocol names, from the findings of that visit and of baseline."""
