"""Clinical assessments put to the criteria as a file: read, judge one by one, explain."""

from trialrun.criteria.situations.assess import Answer, assess_file, assess_situation

__all__ = ["Answer", "assess_file", "assess_situation"]
