"""Code lists: the words that a coded column may hold, and the spellings that are understood for each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# CDISC controlled terminology SEX (C66731), without the code for undifferentiated
SEX: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"F": ("female", "w"), "M": ("male",), "U": ("unknown", "unk")},
)
# CDISC controlled terminology NY (C66742)
YES_NO: Mapping[str, tuple[str, ...]] = MappingProxyType({"Y": ("yes", "true", "1"), "N": ("no", "false", "0")})
# What happens to a subject, by the words of this program (CDISC DS holds protocol milestones and disposition events)
DISPOSITION: Mapping[str, tuple[str, ...]] = MappingProxyType(
    dict.fromkeys(("enrolled", "treatment discontinued", "study discontinued", "death", "completed"), ())
)
# What a protocol can decide of a subject on a day
DECISION: Mapping[str, tuple[str, ...]] = MappingProxyType(
    dict.fromkeys(
        ("stop", "undetermined", "hold", "reduce", "resume", "stay", "step up", "dose", "off treatment"),
        (),
    )
)


def spellings(codes: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Every understood spelling of a code list, in lower case, with its code."""
    return {spelling.casefold(): code for code, others in codes.items() for spelling in (code, *others)}


YES: tuple[str, ...] = tuple(spelling for spelling, code in spellings(YES_NO).items() if code == "Y")
NO: tuple[str, ...] = tuple(spelling for spelling, code in spellings(YES_NO).items() if code == "N")
