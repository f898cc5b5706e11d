"""How a delimited file becomes rows: delimiters, quotation marks, encodings, numbers that can be read in two ways."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from record.made import TODAY, codes, finding, made_record, write_rows
from trialrun.record import read_record
from trialrun.record.files import read_sheet
from trialrun.record.marks import LINE, SHOWN
from trialrun.record.screening import read_screening
from trialrun.vocab.problems import TrialrunError


def rows_of(path: Path, content: str | bytes) -> tuple[list[tuple[str | None, ...]], list[int], list[str]]:
    """Rows (line, cells), the lines set aside, and the codes of what was said."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    sheet = read_sheet(path, "visits", ["a", "b"], ["a"])
    rows = sheet.rows.select(LINE, "a", "b").rows() if sheet.rows.width else []
    return rows, [item.line for item in sheet.rejected], [item.code for item in sheet.problems]


@pytest.mark.parametrize(
    ("content", "rows", "gone", "said"),
    [
        ("a,b\n1,2\n", [(2, "1", "2")], [], []),
        ("\n\na,b\r\n\r\n1,2\r\n", [(5, "1", "2")], [], []),
        ("a,b\n 1 ,\n,\n", [(2, "1", None)], [], []),
        ('a,b\n"1,5","say ""x"""\n', [(2, "1,5", 'say "x"')], [], []),
        ('a,b\n1,"two\nlines"\n3,4\n', [(2, "1", "two\nlines"), (4, "3", "4")], [], []),
        ('a,b\n1,"open\n3,4\n5,6\n', [(3, "3", "4"), (4, "5", "6")], [2], ["unclosed-quote"]),
        ('a,b\n1,o"k\n', [(2, "1", 'o"k')], [], []),
        ("a,b\n1,2,3\n4,5\n", [(3, "4", "5")], [2], ["ragged-line"]),
        ("a,b\n1,2\n3", [(2, "1", "2")], [3], ["no-last-newline", "truncated"]),
        ("a,b\n1,2\n3,4", [(2, "1", "2"), (3, "3", "4")], [], ["no-last-newline"]),
        ("a;b\n1;2,5\n", [(2, "1", "2,5")], [], ["delimiter"]),
        ("sep=;\na;b\n1;2\n", [(3, "1", "2")], [], ["delimiter"]),
        ("a\tb\n1\t2\n", [(2, "1", "2")], [], ["delimiter"]),
        ("a,b\n1,x\u2028y\n", [(2, "1", "x\u2028y")], [], []),
        ("a,b\n1,\x01\n3,4\n", [(3, "3", "4")], [2], ["not-text"]),
        ("a,b\n1,é\n".encode("cp1252"), [(2, "1", "é")], [], ["encoding"]),
        ("a,b\n1,é\n".encode("utf-16"), [(2, "1", "é")], [], ["encoding"]),
        ("a,b\n1,é\n".encode("utf-16-le"), [(2, "1", "é")], [], ["encoding"]),
        ("a,b\n1,é\n".encode("utf-8-sig"), [(2, "1", "é")], [], ["encoding"]),
        ("a,b,a\n1,2,3\n", [], [1, 2], ["column-twice"]),
        ("a,,b\n1,2,3\n", [], [1, 2], ["column-unnamed"]),
        ("a,bb\n1,2\n", [], [1, 2], ["unknown-column"]),
        ("b\n1\n", [], [1, 2], ["missing-column"]),
    ],
)
def test_lines_become_rows_or_are_set_aside(
    tmp_path: Path, content: str | bytes, rows: list[tuple[object, ...]], gone: list[int], said: list[str]
) -> None:
    assert rows_of(tmp_path / "visits.csv", content) == (rows, gone, said)


def test_damaged_utf8_is_a_warning_and_another_encoding_a_note(tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    for content, severity in (("a,b\n1,é\n".encode("cp1252"), "note"), ("a,b\nü,".encode() + b"\xe9\n", "warning")):
        path.write_bytes(content)
        (problem,) = read_sheet(path, "visits", ["a", "b"], ["a"]).problems
        assert problem.severity == severity


@pytest.mark.parametrize(
    ("cell", "value"),
    [("4,2", 4.2), ("0,125", 0.125), ("1234", 1234.0), ("12,5", 12.5), ("1e2", 100.0), ("1,234", None), ("1.234", None),
     ("1.234,5", None), ("12.5", 12.5), ("NA", None)],
)  # fmt: skip
def test_decimal_commas_are_read_where_they_can_mean_one_thing(tmp_path: Path, cell: str, value: float | None) -> None:
    made_record(tmp_path, findings=[])
    header = "entry;subject;date;test;value;unit"
    lines = [header, f"F1;EX-1;2009-03-02;platelets;{cell};10*9/L", "F2;EX-1;2009-03-03;platelets;100,5;10*9/L"]
    (tmp_path / "findings.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    record = read_record(tmp_path, TODAY)
    kept = dict(record.tables["findings"].select("entry", "value").iter_rows())
    assert kept["F2"] == 100.5
    assert kept.get("F1") == value
    assert [item.line for item in record.rejected] == ([2] if value is None else [])


def test_codes_are_understood_in_usual_spellings_and_truths_too(tmp_path: Path) -> None:
    events = [
        {
            "entry": "A1",
            "subject": "EX-1",
            "date": "2009-03-02",
            "term": "x",
            "grade": "2",
            "serious": "No",
            "related": "y",
        }
    ]
    ends = [{"entry": "D1", "subject": "EX-1", "date": "2009-03-02", "event": "Death"}]
    truths = [finding(f"F{at}", "", test=name, text=said, unit="")
              for at, (name, said) in enumerate([("BCLL", "Yes"), ("PRIORTX", "false"), ("CONSTSYM", "perhaps")])]  # fmt: skip
    record = made_record(tmp_path, adverse_events=events, dispositions=ends, findings=truths)
    assert record.tables["adverse_events"].select("serious", "related").row(0) == ("N", "Y")
    assert record.tables["dispositions"]["event"].to_list() == ["death"]
    assert record.tables["findings"].select("test", "value").rows() == [
        ("b_cell_cll", 1.0),
        ("prior_systemic_therapy", 0.0),
    ]
    assert codes(record) == [("not-yes-or-no", 4)]


def test_many_lines_with_one_fault_are_counted_after_the_first(tmp_path: Path) -> None:
    rows = [finding(f"F{at}", str(100 + at), unit="") for at in range(SHOWN + 50)]
    record = made_record(tmp_path, findings=rows)
    missing = [problem for problem in record.problems if problem.code == "missing-unit"]
    assert len(missing) == SHOWN + 1
    assert "50 more such lines" in missing[-1].message
    assert len(record.rejected) == SHOWN + 50


def test_a_second_result_at_one_moment_is_doubtful(tmp_path: Path) -> None:
    record = made_record(
        tmp_path, findings=[finding("A", "100"), finding("B", "120"), finding("C", "130", time="08:00")]
    )
    assert codes(record) == [("same-moment", 3)]
    assert record.tables["findings"].height == 3


def test_a_table_under_another_name_is_refused(tmp_path: Path) -> None:
    made_record(tmp_path)
    write_rows(tmp_path / "adverse-events.csv", [{"entry": "A1"}])
    with pytest.raises(TrialrunError, match=r"adverse_events\.csv"):
        read_record(tmp_path, TODAY)


def test_parquet_rows_are_checked_and_set_aside_with_their_cells(tmp_path: Path) -> None:
    made_record(tmp_path)
    frame = pl.DataFrame([finding("A", "100"), finding("B", "-3")]).with_columns(
        pl.col("value").cast(pl.Float64), pl.col("date").str.to_date(),
        *(pl.lit(None).alias(column) for column in ("known", "corrects", "why_corrected")))  # fmt: skip
    frame.write_parquet(tmp_path / "findings.parquet")
    record = read_record(tmp_path, TODAY)
    (gone,) = record.rejected
    assert (gone.line, gone.subject) == (2, "EX-1")
    assert '"value":"-3.0"' in gone.text
    (tmp_path / "findings.parquet").write_bytes((tmp_path / "findings.parquet").read_bytes()[:-20])
    with pytest.raises(TrialrunError, match="not a Parquet file, or cut"):
        read_record(tmp_path, TODAY)


def test_screening_reads_other_formats_with_the_same_care(tmp_path: Path) -> None:
    path = tmp_path / "subjects.csv"
    head = "subject;age [a];hemoglobin [g/dL];alt [U/L];alt LLN [U/L];alt ULN [U/L];b_cell_cll\n"
    path.write_text(
        head + "A;61;12,5;30;5;40;ja\nB;61;12,5;30;5;40;yes\nC;;;;;;\nD;61;12,5;30;40;5;no\n", encoding="utf-8"
    )
    found = read_screening(path, TODAY)
    assert found.subjects == ("B", "C")
    assert found.values["hemoglobin"].tolist()[0] == 125.0
    assert str(found.values["hemoglobin"].tolist()[1]) == "nan"
    assert [(item.line, item.subject) for item in found.rejected] == [(2, "A"), (5, "D")]
    path.write_text("subject,age [months]\nA,700\n", encoding="utf-8")
    with pytest.raises(TrialrunError, match="age in a unit"):
        read_screening(path, TODAY)
    path.write_text("subject,age [a],birth_date,date\nA,61,1990-01-01,2009-01-01\n", encoding="utf-8")
    assert [item.code for item in read_screening(path, TODAY).problems] == ["contradiction"]
