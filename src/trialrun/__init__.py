"""trialrun: rehearse, conduct and analyse trials whose dose steps up inside each subject."""

__version__ = "0.1.0"
