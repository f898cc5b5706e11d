"""Study days. Inside, a day is its offset from the first dose (0 = day of the first dose, -1 = the day before).

For people and for CDISC data sets there is no day 0: the day of the first dose is day 1, the day before is day -1
(CDISC SDTM Implementation Guide 3.4, section 4.4.4).
"""

from __future__ import annotations

from datetime import date, timedelta


def study_day(offset: int) -> int:
    """The study day (no day 0) of a day offset from the first dose."""
    return offset + 1 if offset >= 0 else offset


def offset_of(day: int) -> int:
    """The day offset of a study day; day 0 does not exist and is a ValueError."""
    if day == 0:
        raise ValueError("there is no study day 0: the day of the first dose is day 1, the day before it day -1")
    return day - 1 if day > 0 else day


def date_of(offset: int, first_dose: date) -> date:
    """The calendar date of a day offset."""
    return first_dose + timedelta(days=offset)


def offset_between(when: date, first_dose: date) -> int:
    """The day offset of a calendar date."""
    return (when - first_dose).days
