"""What cannot be used is refused with a reason; what does not fit in is handled by choice and listed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from trialrun.analysis.expression import ComparisonRequest, SignatureOptions, estimate_signature
from trialrun.vocab.problems import Problem, TrialrunError

Tables = tuple[pl.DataFrame, pl.DataFrame]


def refused(
    expression: Path, samples: Path, request: ComparisonRequest | None = None, **options: object
) -> tuple[Problem, ...]:
    with pytest.raises(TrialrunError) as caught:
        estimate_signature(
            expression,
            samples,
            request or ComparisonRequest("after-before", pairs="subject"),
            SignatureOptions(**options),  # type: ignore[arg-type]
        )
    return caught.value.problems


@pytest.fixture
def change(
    pairs: tuple[Path, Path], tmp_path: Path
) -> Callable[[Callable[[pl.DataFrame, pl.DataFrame], Tables]], Tables]:
    def apply(edit: Callable[[pl.DataFrame, pl.DataFrame], Tables]) -> tuple[Path, Path]:
        table, sheet = edit(pl.read_csv(pairs[0]), pl.read_csv(pairs[1]))
        table.write_csv(tmp_path / "t.csv")
        sheet.write_csv(tmp_path / "s.csv")
        return tmp_path / "t.csv", tmp_path / "s.csv"

    return apply  # type: ignore[return-value]


def test_swapped_files(pairs: tuple[Path, Path]) -> None:
    problem = refused(pairs[1], pairs[0])[0]
    assert problem.code == "swapped-inputs"
    assert "expression table first" in str(problem)


def test_the_matrix_given_as_its_own_sheet(pairs: tuple[Path, Path]) -> None:
    assert refused(pairs[0], pairs[0])[0].code in ("swapped-inputs", "no-such-level", "no-sample-matches")


EDITS: dict[str, Callable[[pl.DataFrame, pl.DataFrame], Tables]] = {
    "no-sample-matches": lambda t, s: (t, s.with_columns(sample="other" + pl.col("sample"))),
    "one-sample-group": lambda t, s: (t.select("gene", "before_1", "after_1"), s.head(2)),
    "no-pairs": lambda t, s: (t, s.with_columns(subject=pl.col("sample"))),
    "unpaired-subjects": lambda t, s: (t.drop("after_2"), s.filter(pl.col("sample") != "after_2")),
    "samples-without-values": lambda t, s: (t.drop("after_2"), s),
    "samples-without-sheet-row": lambda t, s: (t, s.filter(pl.col("subject") != "S2")),
    "duplicated-samples": lambda t, s: (
        t.with_columns(again=pl.col("after_2") + 0.1),
        pl.concat([s, s.filter(pl.col("sample") == "after_2").with_columns(sample=pl.lit("again"))]),
    ),
    "duplicate-sample": lambda t, s: (t, pl.concat([s, s[:1]])),
    "missing-subject": lambda t, s: (
        t,
        s.with_columns(pl.when(pl.col("sample") == "after_1").then(None).otherwise(pl.col("subject")).alias("subject")),
    ),
    "all-zero": lambda t, s: (t.with_columns(pl.col(t.columns[1:]) * 0), s),
    "not-a-number": lambda t, s: (
        t.with_columns(pl.col("after_1").cast(pl.String).replace(str(t["after_1"][3]), "high")),
        s,
    ),
    "infinite-value": lambda t, s: (t.with_columns(after_1=pl.col("after_1") / pl.lit(0.0)), s),
    "no-gene-names": lambda t, s: (t.drop("gene"), s),
    "scale-unclear": lambda t, s: (t.with_columns(pl.col(t.columns[1:]) * 1000 + 0.5), s),
}


@pytest.mark.parametrize("code", sorted(EDITS))
def test_refused(change: Callable[..., tuple[Path, Path]], code: str) -> None:
    problems = refused(*change(EDITS[code]))
    assert problems[0].code == code, problems[0]
    assert not problems[0].message[0].isupper()


def test_a_bad_cell_is_named_with_its_line(change: Callable[..., tuple[Path, Path]]) -> None:
    problem = refused(*change(EDITS["not-a-number"]))[0]
    assert problem.location.line == 5
    assert problem.found == "'high'"


@pytest.mark.parametrize("choice", ["leave-out", "keep"])
def test_unpaired_subjects_by_choice(change: Callable[..., tuple[Path, Path]], choice: str) -> None:
    files = change(EDITS["unpaired-subjects"])
    request = ComparisonRequest("after-before", pairs="subject", unpaired=choice)  # type: ignore[arg-type]
    signature = estimate_signature(*files, request)
    note = next(n for n in signature.notes if n.code == "unpaired-subjects")
    assert (note.severity, note.found) == ("warning", "S2")
    assert len(signature.comparison.subjects) == (8 if choice == "leave-out" else 9)
    assert signature.model.fit.df_residual[0] == 3
    random = ComparisonRequest("after-before", pairs="subject", unpaired="keep", subject_effect="random")
    assert estimate_signature(*files, random).model.fit.df_residual[0] == 7


@pytest.mark.parametrize(("choice", "samples"), [("merge", 10), ("keep", 11)])
def test_duplicated_samples_by_choice(change: Callable[..., tuple[Path, Path]], choice: str, samples: int) -> None:
    files = change(EDITS["duplicated-samples"])
    request = ComparisonRequest("after-before", pairs="subject", duplicates=choice)  # type: ignore[arg-type]
    signature = estimate_signature(*files, request)
    assert len(signature.comparison.is_after) == samples
    assert "duplicated-samples" in {n.code for n in signature.notes}
    if choice == "merge":
        matrix = signature.comparison.matrix
        column = matrix.values[:, matrix.samples.index("after_2")]
        expected = pl.read_csv(files[0]).select((pl.col("after_2") + pl.col("again")) / 2).to_series().to_numpy()
        assert column == pytest.approx(expected)


@pytest.mark.parametrize("code", ["samples-without-values", "samples-without-sheet-row"])
def test_unmatched_samples_by_choice(change: Callable[..., tuple[Path, Path]], code: str) -> None:
    request = ComparisonRequest("after-before", pairs="subject", unmatched="leave-out", unpaired="leave-out")
    signature = estimate_signature(*change(EDITS[code]), request)
    assert code in {n.code for n in signature.notes if n.severity == "warning"}
    assert len(signature.comparison.is_after) == 8


def test_group_and_levels(pairs: tuple[Path, Path], change: Callable[..., tuple[Path, Path]]) -> None:
    def ask(contrast: str, **rest: object) -> str:
        return refused(*pairs, ComparisonRequest(contrast, **rest))[0].code  # type: ignore[arg-type]

    assert ask("later-before") == "no-such-level"
    assert ask("after") == "bad-contrast"
    assert ask("after-before", group="nothing") == "no-such-column"
    assert ask("after-before", pairs="nobody") == "no-such-column"
    assert ask("after-before", pairs="subject", covariates=("response",)) == "not-estimable"
    assert ask("after-before", where=(("response", "maybe"),)) == "no-such-level"
    two = change(lambda t, s: (t, s.with_columns(copy=pl.col("time"))))
    assert refused(*two, ComparisonRequest("after-before"))[0].code == "ambiguous-group"
    lacking = change(lambda t, s: (t, s.with_columns(age=pl.Series([50, None, *range(8)]))))
    problem = refused(*lacking, ComparisonRequest("after-before", covariates=("age",)))[0]
    assert (problem.code, problem.location.line) == ("missing-covariate", 3)


def test_an_unpaired_comparison_says_that_pairs_exist(pairs: tuple[Path, Path]) -> None:
    signature = estimate_signature(*pairs, ComparisonRequest("after-before"))
    assert "pairs-not-used" in {n.code for n in signature.notes if n.severity == "warning"}


def test_counts_that_cannot_be_used(recorded: Path, tmp_path: Path) -> None:
    table, sheet = pl.read_csv(recorded / "counts.csv"), recorded / "counts_samples.csv"

    def ask(edited: pl.DataFrame) -> str:
        edited.write_csv(tmp_path / "counts.csv")
        return refused(tmp_path / "counts.csv", sheet)[0].code

    assert ask(table.with_columns(b1=pl.lit(0))) == "empty-library"
    assert ask(table.with_columns(pl.col(table.columns[1:]) * 0)) == "all-zero"
    assert (
        ask(table.with_columns(b1=pl.when(pl.col("gene") == "C004").then(None).otherwise(pl.col("b1"))))
        == "missing-count"
    )
    assert ask(table.with_columns((pl.col(table.columns[1:]) > 0).cast(pl.Int64))) == "scale-unclear"
    table.with_columns(b1=-pl.col("b1")).write_csv(tmp_path / "counts.csv")
    assert refused(tmp_path / "counts.csv", sheet, scale="counts")[0].code == "negative-count"
    few = table.with_columns(
        pl.when(pl.col("gene") > "C005").then(0).otherwise(pl.col(c)).alias(c) for c in table.columns[1:]
    )
    assert ask(few) == "too-few-expressed-genes"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "no-gene-sets"),
        ("one\tdescription\n", "bad-gene-set"),
        ("a\tx\tACTB\na\tx\tACTG1\n", "duplicate-gene-set"),
        ("a\tx\t" + "\t".join(f"other{i}" for i in range(20)) + "\n", "no-set-measured"),
    ],
)
def test_bad_gene_sets(pairs: tuple[Path, Path], tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "sets.gmt").write_text(text)
    assert refused(*pairs, sets=(tmp_path / "sets.gmt",))[0].code == code


def test_files_that_are_no_tables(pairs: tuple[Path, Path], tmp_path: Path) -> None:
    def ask(name: str, content: bytes | None) -> Problem:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        return refused(tmp_path / name, pairs[1])[0]

    assert ask("absent.csv", None).code == "no-such-file"
    assert ask("table.xlsx", b"PK").code == "unknown-file-type"
    assert ask("empty.csv", b"").code == "unreadable-table"
    assert ask("head.csv", b"gene,before_1\n").code == "unreadable-table"
    assert ask("damaged.csv.gz", b"\x1f\x8b\x08nonsense").code == "unreadable-table"
    assert ask("not.parquet", b"nonsense").code == "unreadable-table"
    assert ask("not.h5ad", b"nonsense").code == "unreadable-table"
    ragged = ask("ragged.csv", b"gene,before_1,after_1\nA,1.5,2.5\nB,1.5\n")
    assert ragged.code == "unreadable-table"
    assert "line 3" in str(ragged)
    assert ask("twice.csv", b"gene,before_1,before_1\nA,1.5,2.5\n").code == "duplicate-column"


def test_options_out_of_range(pairs: tuple[Path, Path]) -> None:
    assert refused(*pairs, alpha=1.5)[0].code == "option-out-of-range"
    assert refused(*pairs, smallest_set=0)[0].code == "option-out-of-range"
    assert refused(*pairs, several_probes="sum")[0].code == "sum-of-logs"
    assert refused(*pairs, response="nothing")[0].code == "no-such-column"
