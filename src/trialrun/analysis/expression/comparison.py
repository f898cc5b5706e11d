"""Which samples are compared with which: groups, pairs, covariates, and what happens to samples that do not fit in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialrun.analysis.expression.fit import Block, check_estimable
from trialrun.analysis.expression.matrix import ExpressionMatrix, Floats, select_samples
from trialrun.analysis.expression.merging import merge_duplicates
from trialrun.analysis.expression.sample_sheet import SampleSheet, find_column
from trialrun.vocab.problems import Problem, TrialrunError

Unmatched = Literal["stop", "leave-out"]
Unpaired = Literal["stop", "leave-out", "keep"]
Duplicates = Literal["stop", "merge", "keep"]
SubjectEffect = Literal["fixed", "random"]


@dataclass(frozen=True, slots=True)
class ComparisonRequest:
    """What to compare. `contrast` is "A-B": the change from level B to level A of the column `group`.

    `pairs` names the column of subjects; None = unpaired. `where` keeps rows of the sheet with column = value.
    `unmatched`, `unpaired` and `duplicates` say what to do with samples in one file only, with subjects that lack one
    of the two levels, and with several samples of one subject and level.
    """

    contrast: str
    group: str | None = None
    pairs: str | None = None
    covariates: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    subject_effect: SubjectEffect = "fixed"
    unmatched: Unmatched = "stop"
    unpaired: Unpaired = "stop"
    duplicates: Duplicates = "stop"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The samples of a comparison in order (subject, then before and after) and their design.

    `matrix` holds these samples only; `sheet` the same rows of the sample sheet. `is_after` (samples,) tells the two
    levels apart; `subjects` is empty when unpaired. `design` (samples, columns) named by `columns` has no columns for
    the subjects when `block` is a fixed effect; `contrast` (columns,) picks the change.
    """

    matrix: ExpressionMatrix
    sheet: pl.DataFrame
    group: str
    after: str
    before: str
    is_after: NDArray[np.bool_]
    subjects: tuple[str, ...]
    design: Floats
    columns: tuple[str, ...]
    contrast: Floats
    block: Block | None
    notes: tuple[Problem, ...]

    @property
    def label(self) -> str:
        return f"{self.after} - {self.before}"


def plan_comparison(matrix: ExpressionMatrix, sheet: SampleSheet, request: ComparisonRequest) -> Comparison:
    """Choose and order the samples and build the design; every sample left out is listed in the notes."""
    notes: list[Problem] = []
    kept_rows = _filter_rows(sheet, request, notes)
    group, after, before = _find_levels(sheet, request, kept_rows, matrix.sample_column)
    _check_unmatched(matrix, sheet, request, kept_rows, notes)
    levels = sheet.frame[group].to_list()
    position = {row: i for i, row in enumerate(matrix.sheet_rows)}
    rows = [row for row in kept_rows if row in position and levels[row] in (after, before)]
    others = [row for row in kept_rows if row in position and levels[row] not in (after, before)]
    if others:
        found = ", ".join(sorted({str(levels[row]) for row in others}))
        notes.append(_note("other-levels", f"{len(others)} samples of other levels of {group} take no part", found))
    notes.append(_note("comparison", f"change from {before} to {after} in column {group}"))
    subjects: list[str] = []
    if request.pairs is not None:
        subject_column = find_column(sheet, request.pairs, "subjects")
        rows, subjects = _pair(sheet, subject_column, levels, rows, (after, before), request, notes)
        if request.duplicates == "merge":
            matrix, rows = merge_duplicates(
                matrix, position, rows, [(s, str(levels[r])) for s, r in zip(subjects, rows, strict=True)]
            )
            position = {row: i for i, row in enumerate(matrix.sheet_rows)}
            subjects = [str(sheet.frame[subject_column][row]) for row in rows]
        order = _order(subjects, [levels[row] == after for row in rows])
        rows, subjects = [rows[i] for i in order], [subjects[i] for i in order]
    else:
        rows = [rows[i] for i in _order([""] * len(rows), [levels[row] == after for row in rows])]
        _hint_pairs(sheet, group, levels, rows, notes)
    is_after = np.array([levels[row] == after for row in rows], dtype=bool)
    _check_replicates(is_after, after, before, subjects)
    chosen = sheet.frame[rows]
    covariates, names = _read_covariates(sheet, chosen, rows, request)
    block = None
    if subjects:
        codes = np.unique(np.array(subjects), return_inverse=True)[1]
        block = Block(codes.astype(np.int64), None if request.subject_effect == "fixed" else 0.0)
    indicator = is_after.astype(np.float64)[:, None]
    start = [] if block is not None and block.correlation is None else [np.ones((len(rows), 1))]
    design = np.hstack([*start, covariates, indicator])
    columns = (*(("intercept",) if start else ()), *names, f"{after} - {before}")
    contrast = np.zeros(design.shape[1])
    contrast[-1] = 1.0
    check_estimable(design, contrast, block, columns)
    picked = select_samples(matrix, [position[row] for row in rows])
    return Comparison(
        picked, chosen, group, after, before, is_after, tuple(subjects), design, columns, contrast, block, tuple(notes)
    )


def _order(subjects: list[str], after: list[bool]) -> list[int]:
    first = {name: i for i, name in reversed(list(enumerate(subjects)))}
    return sorted(range(len(subjects)), key=lambda i: (first[subjects[i]], after[i]))


def _filter_rows(sheet: SampleSheet, request: ComparisonRequest, notes: list[Problem]) -> list[int]:
    rows = list(range(sheet.frame.height))
    for name, value in request.where:
        column = find_column(sheet, name, "selection of samples")
        values = sheet.frame[column].to_list()
        if value not in values:
            raise TrialrunError(
                Problem(
                    "no-such-level",
                    f"no sample has this value in column {column}",
                    found=value,
                    expected="one of " + ", ".join(sorted({str(v) for v in values if v is not None})[:20]),
                    location=sheet.locate(),
                )
            )
        rows = [row for row in rows if values[row] == value]
        notes.append(_note("selected-rows", f"samples with {column} = {value} only: {len(rows)} rows of the sheet"))
    return rows


def _find_levels(
    sheet: SampleSheet, request: ComparisonRequest, rows: list[int], sample_column: str
) -> tuple[str, str, str]:
    """The group column and its two levels (after, before) that the contrast names."""
    text = request.contrast
    splits = [(text[:i].strip(), text[i + 1 :].strip()) for i, mark in enumerate(text) if mark == "-"]
    splits = [(a, b) for a, b in splits if a and b]
    if not splits:
        raise TrialrunError(
            Problem("bad-contrast", "a contrast names two levels", found=text, expected="A-B, for example after-before")
        )
    if request.group is not None:
        columns = [find_column(sheet, request.group, "groups")]
    else:
        columns = [c for c in sheet.frame.columns if c != sample_column]
    found: list[tuple[str, str, str]] = []
    for fold in (str, str.casefold):
        for column in columns:
            values = {str(v) for v in sheet.frame[column][rows].drop_nulls().to_list()}
            known: dict[str, list[str]] = {}
            for value in sorted(values):
                known.setdefault(fold(value), []).append(value)
            for a, b in splits:
                high, low = known.get(fold(a), []), known.get(fold(b), [])
                if len(high) == 1 and len(low) == 1 and high != low:
                    found.append((column, high[0], low[0]))
        if found:
            break
    if len(found) == 1:
        return found[0]
    if found:
        raise TrialrunError(
            Problem(
                "ambiguous-group",
                "several columns of the sheet have both levels of the contrast",
                found=", ".join(sorted({column for column, _, _ in found})),
                expected="--group with one of them",
                location=sheet.locate(),
            )
        )
    few = [(c, sorted({str(v) for v in sheet.frame[c][rows].drop_nulls().to_list()})) for c in columns]
    offered = "; ".join(f"{c}: {', '.join(v)}" for c, v in few if 1 < len(v) <= 12)
    raise TrialrunError(
        Problem(
            "no-such-level",
            "no column of the sheet has both levels of the contrast",
            found=text,
            expected=offered or "a column with the two levels",
            location=sheet.locate(),
        )
    )


def _check_unmatched(
    matrix: ExpressionMatrix, sheet: SampleSheet, request: ComparisonRequest, rows: list[int], notes: list[Problem]
) -> None:
    names = sheet.frame[matrix.sample_column].to_list()
    absent = [str(names[row]) for row in matrix.only_in_sheet if row in set(rows)]
    problems = [
        Problem(
            code,
            message,
            found=_list(found),
            expected="files that name the same samples, or --unmatched leave-out",
            location=sheet.locate(),
            severity="error" if request.unmatched == "stop" else "warning",
        )
        for code, message, found in (
            ("samples-without-values", f"{len(absent)} samples of the sheet are not in the expression table", absent),
            (
                "samples-without-sheet-row",
                f"{len(matrix.only_in_matrix)} samples of the expression table are not in the sheet",
                list(matrix.only_in_matrix),
            ),
        )
        if found
    ]
    if problems and request.unmatched == "stop":
        raise TrialrunError(problems)
    notes += [_note(p.code, p.message + "; left out", p.found, "warning") for p in problems]


def _pair(
    sheet: SampleSheet,
    column: str,
    levels: list[str | None],
    rows: list[int],
    two: tuple[str, str],
    request: ComparisonRequest,
    notes: list[Problem],
) -> tuple[list[int], list[str]]:
    names = sheet.frame[column].to_list()
    nameless = [row for row in rows if names[row] is None]
    if nameless:
        raise TrialrunError(
            Problem(
                "missing-subject",
                f"{len(nameless)} samples have no subject",
                expected=f"a value in column {column}",
                location=sheet.locate(nameless[0]),
            )
        )
    seen: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        seen.setdefault(str(names[row]), {}).setdefault(str(levels[row]), []).append(row)
    repeated = [f"{s} {level} ({len(r)})" for s, by in seen.items() for level, r in by.items() if len(r) > 1]
    if repeated:
        message = f"{len(repeated)} times a subject has several samples of one level"
        choice = "--duplicates merge (mean, for counts the sum) or --duplicates keep (each as an array of its own)"
        _decide(request.duplicates == "stop", "duplicated-samples", message, repeated, choice, sheet, notes)
    lone = [subject for subject, by in seen.items() if len(by) < 2]
    if len(lone) == len(seen):
        raise TrialrunError(
            Problem(
                "no-pairs",
                f"no subject has samples of both {two[0]} and {two[1]}",
                found=_list([f"{s}: {', '.join(by)}" for s, by in seen.items()]),
                expected=f"a column of subjects that have both; {column} was taken",
                location=sheet.locate(),
            )
        )
    if lone:
        message = f"{len(lone)} subjects have one of the two levels only"
        choice = (
            "--unpaired leave-out, or --unpaired keep (they inform the means, with --subject-effect random the change)"
        )
        _decide(request.unpaired == "stop", "unpaired-subjects", message, lone, choice, sheet, notes)
        if request.unpaired == "leave-out":
            rows = [row for row in rows if str(names[row]) not in set(lone)]
    notes.append(_note("pairs", f"{len(seen) - len(lone)} subjects with both levels, paired by column {column}"))
    return rows, [str(names[row]) for row in rows]


def _decide(
    stop: bool, code: str, message: str, found: list[str], choice: str, sheet: SampleSheet, notes: list[Problem]
) -> None:
    if stop:
        raise TrialrunError(Problem(code, message, found=_list(found), expected=choice, location=sheet.locate()))
    notes.append(_note(code, message, _list(found), "warning"))


def _hint_pairs(
    sheet: SampleSheet, group: str, levels: list[str | None], rows: list[int], notes: list[Problem]
) -> None:
    """Say so when another column pairs the samples, for then an unpaired comparison gives power away."""
    for column in sheet.frame.columns:
        values = [sheet.frame[column][row] for row in rows]
        if column == group or None in values or len(set(values)) * 2 != len(rows) or len(rows) < 4:
            continue
        if len({(v, levels[row]) for v, row in zip(values, rows, strict=True)}) == len(rows):
            notes.append(
                _note(
                    "pairs-not-used",
                    f"column {column} pairs the samples; --pairs {column} would use it",
                    severity="warning",
                )
            )


def _check_replicates(is_after: NDArray[np.bool_], after: str, before: str, subjects: list[str]) -> None:
    counts = {after: int(is_after.sum()), before: int((~is_after).sum())}
    short = [f"{level}: {n}" for level, n in counts.items() if n < 2]
    if short:
        raise TrialrunError(
            Problem(
                "one-sample-group",
                "a group of fewer than two samples has no spread to compare with",
                found=", ".join(short),
                expected="two or more samples in each group" + (" (two or more pairs)" if subjects else ""),
            )
        )


def _read_covariates(
    sheet: SampleSheet, chosen: pl.DataFrame, rows: list[int], request: ComparisonRequest
) -> tuple[Floats, list[str]]:
    parts, names = [np.empty((len(rows), 0))], []
    for name in request.covariates:
        column = find_column(sheet, name, "covariate")
        values = chosen[column]
        lacking = values.is_null().arg_true().to_list()
        if lacking:
            raise TrialrunError(
                Problem(
                    "missing-covariate",
                    f"{len(lacking)} samples have no value of covariate {column}",
                    expected="a value for every sample of the comparison, or a comparison without this covariate",
                    location=sheet.locate(rows[lacking[0]]),
                )
            )
        numbers = values.cast(pl.Float64, strict=False)
        if numbers.null_count() == 0:
            parts.append((numbers - numbers.mean()).to_numpy()[:, None])
            names.append(column)
            continue
        levels = sorted(set(values.to_list()))
        parts.append(np.array([[v == level for level in levels[1:]] for v in values.to_list()], dtype=np.float64))
        names += [f"{column} {level}" for level in levels[1:]]
    return np.hstack(parts), names


def _list(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _note(code: str, message: str, found: str | None = None, severity: Literal["warning", "note"] = "note") -> Problem:
    return Problem(code, message, found=found, severity=severity)
