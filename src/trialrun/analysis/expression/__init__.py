"""The molecular signature: what changes in the cells between two visits or two groups, with its uncertainty.

>>> signature = estimate_signature(expression, samples, ComparisonRequest("after-before", pairs="subject"))
>>> write_signature(signature, folder)

`signature.genes` and `signature.sets` are Polars tables; docs/expression.md says what each column holds.
"""

from __future__ import annotations

from trialrun.analysis.expression.comparison import ComparisonRequest
from trialrun.analysis.expression.later_samples import score_later_samples
from trialrun.analysis.expression.options import SignatureOptions
from trialrun.analysis.expression.page import signature_section, write_signature
from trialrun.analysis.expression.signature import Signature, estimate_signature

__all__ = [
    "ComparisonRequest",
    "Signature",
    "SignatureOptions",
    "estimate_signature",
    "score_later_samples",
    "signature_section",
    "write_signature",
]
