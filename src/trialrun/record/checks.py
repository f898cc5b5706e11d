"""What must hold within and across the tables of a record."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from trialrun.record.files import LINE, RAW
from trialrun.record.marks import Marks
from trialrun.vocab.problems import TrialrunError
from trialrun.vocab.tests import Test, find_test, nearest
from trialrun.vocab.units import convert, find_unit

COPY = "the same line stands twice"
DISPOSITIONS = ("enrolled", "treatment discontinued", "study discontinued", "death", "completed")
_YES = ("yes", "y", "true", "1")
_NO = ("no", "n", "false", "0")


def check_findings(frame: pl.DataFrame, file: str, marks: Marks, extra_tests: frozenset[str]) -> pl.DataFrame:
    """Test names and units made canonical, truths made 1 and 0; doubtful results marked. Works by test and unit."""
    frame = frame.with_columns(
        value_as_recorded=pl.col("value"), unit_as_recorded=pl.col("unit"), _name=pl.lit(None, dtype=pl.String)
    )
    if not frame.height:
        return frame.drop("_name")
    groups = frame.with_row_index("_at").partition_by("test", "unit", maintain_order=True)
    done = [_check_group(group, file, marks, extra_tests) for group in groups]
    return pl.concat(done).sort("_at").drop("_at", "_name")


def _check_group(group: pl.DataFrame, file: str, marks: Marks, extra_tests: frozenset[str]) -> pl.DataFrame:
    name, unit = group["test"][0], group["unit"][0]
    if name is None or not group.height:
        return group
    lines = group[LINE]
    if name in extra_tests:
        return _check_truth(group, file, marks, name)
    test = find_test(name)
    if test is None:
        marks.add("findings", file, lines, "unknown-test", "unknown test", repr(name), nearest(name))
        return group
    group = group.with_columns(test=pl.lit(test.name))
    if test.kind != "number":
        return _check_truth(group, file, marks, test.name)
    empty = group.filter(pl.col("value").is_null() & pl.col("text").is_null())[LINE]
    marks.add(
        "findings", file, empty, "missing-value", f"{test.name} has no value", None, "a number, or no line", "warning"
    )
    texts = group.filter(pl.col("text").is_not_null() & pl.col("value").is_null())
    for line, text in texts.select(LINE, "text").iter_rows():
        marks.add(
            "findings",
            file,
            [line],
            "not-a-number",
            f"{test.name} has text where a number belongs",
            repr(text),
            "a number in value",
        )
    code = _unit_of(test, unit, lines.to_list(), file, marks)
    if code is None:
        return group
    try:
        group = group.with_columns(
            [_converted(group[column], code, test).alias(column) for column in ("value", "low", "high")]
        ).with_columns(unit=pl.lit(test.unit))
    except TrialrunError as error:
        marks.add(
            "findings",
            file,
            lines,
            "unit-mismatch",
            error.problems[0].message,
            repr(unit),
            f"{test.unit} or {test.us_unit}",
        )
        return group
    _check_values(group, test, file, marks)
    return group


def _converted(values: pl.Series, code: str, test: Test) -> pl.Series:
    numbers = values.cast(pl.Float64).to_numpy()
    return pl.Series(convert(np.asarray(numbers, dtype=np.float64), code, test.unit or "1", test.name)).fill_nan(None)


def _unit_of(test: Test, unit: str | None, lines: list[int], file: str, marks: Marks) -> str | None:
    if unit is None:
        if test.unit == "1":
            return "1"
        expected = f"{test.unit} or {test.us_unit}" if test.us_unit != test.unit else test.unit
        marks.add("findings", file, lines, "missing-unit", f"{test.name} has no unit", None, expected)
        return None
    code = find_unit(unit)
    if code is None:
        marks.add(
            "findings",
            file,
            lines,
            "unknown-unit",
            f"unknown unit of {test.name}",
            repr(unit),
            f"{test.unit} or {test.us_unit}",
        )
    return code


def _check_truth(group: pl.DataFrame, file: str, marks: Marks, name: str) -> pl.DataFrame:
    said = pl.col("text").str.to_lowercase().str.strip_chars()
    truth = (
        pl.when(said.is_in(_YES))
        .then(1.0)
        .when(said.is_in(_NO))
        .then(0.0)
        .when(pl.col("value").is_in([0.0, 1.0]))
        .then(pl.col("value"))
    )
    group = group.with_columns(_truth=truth.otherwise(None))
    for line, text, value in group.filter(pl.col("_truth").is_null()).select(LINE, "text", "value").iter_rows():
        marks.add(
            "findings",
            file,
            [line],
            "not-yes-or-no",
            f"{name} is neither yes nor no",
            repr(text if text is not None else value),
            "yes or no in text",
        )
    return group.with_columns(value=pl.col("_truth")).drop("_truth")


def _check_values(group: pl.DataFrame, test: Test, file: str, marks: Marks) -> None:
    negative = group.filter((pl.col("value") < 0) & (test.low is not None) & (pl.lit(test.low) >= 0))
    for line, value in negative.select(LINE, "value_as_recorded").iter_rows():
        marks.add(
            "findings",
            file,
            [line],
            "negative-value",
            f"{test.name} cannot be negative",
            f"{value:g}",
            "a value of 0 or more",
        )
    low = -np.inf if test.low is None else test.low
    high = np.inf if test.high is None else test.high
    far = group.filter(((pl.col("value") < low) | (pl.col("value") > high)) & ~(pl.col("value") < 0))
    for line, value, unit in far.select(LINE, "value_as_recorded", "unit_as_recorded").iter_rows():
        found = f"{value:g} {unit or ''}".strip()
        expected = f"{low:g} to {high:g} {test.unit}; check unit and decimal point"
        message = f"{test.name} is outside what is possible"
        marks.add("findings", file, [line], "implausible-value", message, found, expected)
    reversed_ = group.filter(pl.col("low") > pl.col("high"))
    for line, a, b in reversed_.select(LINE, "low", "high").iter_rows():
        marks.add(
            "findings",
            file,
            [line],
            "limits-reversed",
            "the lower limit is above the upper limit",
            f"{a:g} to {b:g}",
            "low below high",
        )


def check_across(frames: dict[str, pl.DataFrame], files: dict[str, str], marks: Marks, today: date) -> None:
    """Identity, time and corrections, for every table."""
    born = frames["subjects"].select("subject", born=pl.col("birth_date"))
    known_subjects = frames["subjects"]["subject"].drop_nulls().unique()
    seen_entries: dict[str, tuple[str, int]] = {}
    for name, frame in frames.items():
        if not frame.height:
            continue
        file = files[name]
        _check_duplicates(frame, name, file, marks)
        _check_entries(frame, name, file, marks, seen_entries)
        if name != "subjects" and "subject" in frame.columns:
            strange = frame.filter(pl.col("subject").is_not_null() & ~pl.col("subject").is_in(known_subjects.implode()))
            for line, subject in strange.select(LINE, "subject").iter_rows():
                marks.add(
                    name,
                    file,
                    [line],
                    "unknown-subject",
                    "the subject is not in the subjects table",
                    repr(subject),
                    "a subject of subjects.csv",
                )
        _check_dates(frame, name, file, marks, born, today)
        _check_corrections(frame, name, file, marks)
    twice = frames["subjects"].filter(pl.col("subject").is_duplicated() & pl.col("corrects").is_null())
    for subject in twice["subject"].unique(maintain_order=True):
        lines = twice.filter(pl.col("subject") == subject)[LINE].to_list()[1:]
        marks.add(
            "subjects",
            files["subjects"],
            lines,
            "subject-twice",
            "the subject stands twice",
            repr(subject),
            "one line a subject; a correction names the line it corrects",
        )
    strange_sex = frames["subjects"].filter(pl.col("sex").is_not_null() & ~pl.col("sex").is_in(["F", "M", "U"]))
    for line, sex in strange_sex.select(LINE, "sex").iter_rows():
        marks.add("subjects", files["subjects"], [line], "unknown-value", "sex is not a code", repr(sex), "F, M or U")
    _check_exposures(frames["exposures"], files["exposures"], marks)
    graded = frames["adverse_events"].filter(
        pl.col("grade").is_not_null() & ~pl.col("grade").is_in([1.0, 2.0, 3.0, 4.0, 5.0])
    )
    for line, grade in graded.select(LINE, "grade").iter_rows():
        marks.add(
            "adverse_events",
            files["adverse_events"],
            [line],
            "unknown-value",
            "the grade is not a grade",
            f"{grade:g}",
            "1, 2, 3, 4 or 5",
        )
    ended = frames["dispositions"].filter(pl.col("event").is_not_null() & ~pl.col("event").is_in(DISPOSITIONS))
    for line, event in ended.select(LINE, "event").iter_rows():
        expected = "one of " + ", ".join(DISPOSITIONS)
        marks.add(
            "dispositions", files["dispositions"], [line], "unknown-value", "unknown event", repr(event), expected
        )
    _check_same_moment(frames["findings"], files["findings"], marks)


def _check_same_moment(frame: pl.DataFrame, file: str, marks: Marks) -> None:
    """Two different results of one test that nothing orders: the later line counts, and that is said."""
    replaced = frame["corrects"].drop_nulls()
    current = frame.filter(~pl.col("entry").is_in(replaced.implode()) & pl.col("value").is_not_null())
    key = pl.struct("subject", "date", "time", "test")
    for line, test, when in current.filter(~key.is_first_distinct()).select(LINE, "test", "date").iter_rows():
        if line in marks.rows("findings"):
            continue
        message = f"a second result of {test} on {when} that no time tells from the first; the later line counts"
        marks.add("findings", file, [line], "same-moment", message, None, "a time, or a correction", "warning")


def _check_duplicates(frame: pl.DataFrame, name: str, file: str, marks: Marks) -> None:
    content = [
        column for column in frame.columns if column not in (LINE, RAW, "entry", "known", "corrects", "why_corrected")
    ]
    copies = frame.filter(~pl.struct(content).is_first_distinct() & pl.col("corrects").is_null())
    marks.add(name, file, copies[LINE], "duplicate-row", COPY, None, "each fact once")


def _check_entries(frame: pl.DataFrame, name: str, file: str, marks: Marks, seen: dict[str, tuple[str, int]]) -> None:
    doubled = frame.filter(pl.col("entry").is_not_null() & ~pl.col("entry").is_first_distinct())
    for line, entry in doubled.select(LINE, "entry").iter_rows():
        marks.add(
            name,
            file,
            [line],
            "entry-twice",
            "the entry identifier stands twice",
            repr(entry),
            "an identifier of its own",
        )


def _check_dates(frame: pl.DataFrame, name: str, file: str, marks: Marks, born: pl.DataFrame, today: date) -> None:
    columns = [column for column in ("birth_date", "date", "end_date", "known") if column in frame.columns]
    for column in columns:
        late = frame.filter(pl.col(column) > today)
        for line, when in late.select(LINE, column).iter_rows():
            marks.add(
                name, file, [line], "date-in-future", f"{column} is after today", str(when), f"a date up to {today}"
            )
    if "date" in columns and "subject" in frame.columns:
        early = frame.join(born, on="subject", how="left", maintain_order="left").filter(
            pl.col("date") < pl.col("born")
        )
        for line, when, birth in early.select(LINE, "date", "born").iter_rows():
            marks.add(
                name,
                file,
                [line],
                "date-before-birth",
                "date is before the subject was born",
                str(when),
                f"a date from {birth} on",
            )
    if "end_date" in columns:
        back = frame.filter(pl.col("end_date") < pl.col("date"))
        for line, start, end in back.select(LINE, "date", "end_date").iter_rows():
            marks.add(
                name,
                file,
                [line],
                "end-before-start",
                "end_date is before date",
                f"{start} to {end}",
                "an end on or after the start",
            )
    if "date" in columns:
        before = frame.filter(pl.col("known") < pl.col("date"))
        for line, when, known in before.select(LINE, "date", "known").iter_rows():
            marks.add(
                name,
                file,
                [line],
                "known-before-happened",
                "it was known before it happened",
                f"known {known}, happened {when}",
                "known on or after date",
            )


def _check_corrections(frame: pl.DataFrame, name: str, file: str, marks: Marks) -> None:
    entries = frame["entry"].drop_nulls().unique()
    corrections = frame.filter(pl.col("corrects").is_not_null())
    if not corrections.height:
        return
    lost = corrections.filter(~pl.col("corrects").is_in(entries.implode()))
    for line, entry in lost.select(LINE, "corrects").iter_rows():
        marks.add(
            name,
            file,
            [line],
            "corrects-nothing",
            "it corrects an entry that is not there",
            repr(entry),
            "the entry of an earlier line",
        )
    again = corrections.filter(~pl.col("corrects").is_first_distinct())
    for line, entry in again.select(LINE, "corrects").iter_rows():
        message, expected = "the entry was corrected already", "the entry of the last correction"
        marks.add(name, file, [line], "corrected-twice", message, repr(entry), expected)
    if "subject" in frame.columns:
        whose = frame.select(corrects=pl.col("entry"), _whose=pl.col("subject")).unique("corrects")
        joined = corrections.join(whose, on="corrects", how="left", maintain_order="left")
        for line, entry in joined.filter(pl.col("subject") != pl.col("_whose")).select(LINE, "corrects").iter_rows():
            message = "it corrects an entry of another subject"
            marks.add(name, file, [line], "corrects-other", message, repr(entry), "an entry of the same subject")
    own = corrections.filter(pl.col("corrects") == pl.col("entry"))
    marks.add(name, file, own[LINE], "corrects-itself", "it corrects itself", None, "the entry of an earlier line")
    silent = corrections.filter(pl.col("why_corrected").is_null())
    marks.add(
        name, file, silent[LINE], "no-reason", "a correction without its reason", None, "a reason in why_corrected"
    )
    following = dict(corrections.select("entry", "corrects").iter_rows())
    for line, entry in corrections.select(LINE, "entry").iter_rows():
        step, steps = following.get(entry), 0
        while step is not None and step != entry and steps <= len(following):
            step, steps = following.get(step), steps + 1
        if step == entry and following.get(entry) != entry:
            marks.add(
                name,
                file,
                [line],
                "correction-cycle",
                "corrections correct each other in a circle",
                repr(entry),
                "a later line corrects an earlier one",
            )


def _check_exposures(frame: pl.DataFrame, file: str, marks: Marks) -> None:
    for line, dose in frame.filter(pl.col("dose") < 0).select(LINE, "dose").iter_rows():
        marks.add(
            "exposures",
            file,
            [line],
            "negative-value",
            "a dose cannot be negative",
            f"{dose:g}",
            "0 for a held or missed dose",
        )
    units = frame.filter(pl.col("unit").is_not_null()).select(LINE, "unit")
    for line, unit in units.iter_rows():
        if find_unit(unit) is None:
            marks.add("exposures", file, [line], "unknown-unit", "unknown unit of the dose", repr(unit), "mg")
    replaced = frame["corrects"].drop_nulls()
    current = frame.filter(~pl.col("entry").is_in(replaced.implode())).with_columns(
        last=pl.coalesce("end_date", "date")
    )
    ordered = current.sort("subject", "drug", "date")
    overlap = ordered.filter(pl.col("date") <= pl.col("last").shift(1).over("subject", "drug"))
    for line, when in overlap.select(LINE, "date").iter_rows():
        marks.add(
            "exposures",
            file,
            [line],
            "exposures-overlap",
            "two exposures of one drug cover the same day",
            str(when),
            "intervals that do not overlap",
        )
