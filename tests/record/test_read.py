"""Reading a record: what is accepted, what is set aside, and what is said about it."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialrun.record import TABLES, Record, read_record
from trialrun.record.files import read_sheet, read_text
from trialrun.record.marks import RAW
from trialrun.record.tables import KEPT
from trialrun.vocab.problems import TrialrunError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "records" / "lenalidomide-cll"
TODAY = date(2007, 12, 31)


def read_changed(folder: Path, file: str, change: dict[str, str] | bytes) -> Record:
    shutil.copytree(EXAMPLE, folder)
    path = folder / file
    if isinstance(change, bytes):
        path.write_bytes(change)
    else:
        text = path.read_text(encoding="utf-8")
        for old, new in change.items():
            assert old in text, old
            text = text.replace(old, new, 1)
        path.write_text(text, encoding="utf-8")
    return read_record(folder, TODAY)


def test_the_example_reads_without_findings() -> None:
    record = read_record(EXAMPLE, TODAY)
    assert [str(problem) for problem in record.problems if problem.severity != "note"] == []
    assert record.rejected == ()
    assert record.tables["subjects"].height == 8


def test_values_come_in_canonical_units_and_keep_what_was_entered() -> None:
    findings = read_record(EXAMPLE, TODAY).tables["findings"]
    row = findings.filter((pl.col("subject") == "EX-02") & (pl.col("value_as_recorded") == 400)).row(0, named=True)
    assert (row["test"], row["unit"], row["unit_as_recorded"]) == ("neutrophils", "10*9/L", "/uL")
    assert (row["value"], row["low"], row["high"]) == pytest.approx((0.4, 2.0, 7.5))
    creatinine = findings.filter(pl.col("unit_as_recorded") == "mg/dL").filter(pl.col("test") == "creatinine").head(1)
    assert creatinine["value"].to_list() == pytest.approx([0.95 * 88.4], rel=1e-4)


def test_corrections_count_from_the_day_they_were_known() -> None:
    record = read_record(EXAMPLE, TODAY)

    def platelets(day: date) -> list[float]:
        seen = record.as_known_on(day).tables["findings"]
        rows = seen.filter(
            (pl.col("subject") == "EX-06") & (pl.col("test") == "platelets") & (pl.col("visit") == "week_2")
        )
        return rows["value"].to_list()

    assert platelets(date(2007, 9, 16)) == []
    assert platelets(date(2007, 9, 17)) == [17.0]
    assert platelets(date(2007, 9, 18)) == [171.0]
    replaced = record.as_known_on(date(2007, 9, 18)).superseded["findings"]
    assert replaced["value"].to_list() == [17.0]


def test_the_version_that_holds() -> None:
    record = read_record(EXAMPLE, TODAY)
    assert record.version_for("EX-01", date(2007, 9, 17)).version == "amendment-1"
    assert record.version_for("EX-07", date(2007, 9, 17)).version == "original"
    before = record.version_for("EX-01", date(2007, 8, 1))
    assert before.version is None
    assert before.missing == ("a consent of EX-01 by 2007-08-01",)
    assert record.version_for("EX-99", date(2007, 9, 17)).version is None


def test_the_content_hash_ignores_the_order_of_lines_and_sees_a_changed_value(tmp_path: Path) -> None:
    whole = read_record(EXAMPLE, TODAY).content_hash
    shutil.copytree(EXAMPLE, tmp_path / "turned")
    path = tmp_path / "turned" / "findings.csv"
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head, *lines[::-1]]) + "\n", encoding="utf-8")
    assert read_record(tmp_path / "turned", TODAY).content_hash == whole
    changed = read_changed(tmp_path / "changed", "findings.csv", {",3.1,": ",3.2,"})
    assert changed.content_hash != whole


@pytest.mark.parametrize(
    ("file", "change", "code", "said"),
    [
        ("findings.csv", {"neutrophils,3.1": "neutrophil count,3.1"}, "unknown-test", "neutrophils"),
        ("findings.csv", {"neutrophils,3.1": "neutrophils,3.1 low"}, "not-a-number", "'3.1 low'"),
        ("findings.csv", {"neutrophils,3.1,,x10^9/L": "neutrophils,3.1,,"}, "missing-unit", "10*9/L"),
        ("findings.csv", {"neutrophils,3.1,,x10^9/L": "neutrophils,3.1,,furlong"}, "unknown-unit", "'furlong'"),
        ("findings.csv", {"neutrophils,3.1,,x10^9/L": "neutrophils,3.1,,g/L"}, "unit-mismatch", "10*9/L"),
        ("findings.csv", {"neutrophils,3.1": "neutrophils,-3.1"}, "negative-value", "-3.1"),
        ("findings.csv", {"potassium,4.2": "potassium,42"}, "implausible-value", "decimal point"),
        ("findings.csv", {"3.1,,x10^9/L,2.0,7.5": "3.1,,x10^9/L,7.5,2.0"}, "limits-reversed", "low below high"),
        ("findings.csv", {"F1,EX-01": "F1,EX-77"}, "unknown-subject", "'EX-77'"),
        ("findings.csv", {"2007-08-20,first_dose,neutrophils": "20.08.2007,first_dose,neutrophils"}, "not-a-date", "written year-month-day"),
        ("findings.csv", {"2007-08-20,first_dose,neutrophils": "2007-08,first_dose,neutrophils"}, "partial-date", "2007-08"),
        ("findings.csv", {"2007-08-20,first_dose,neutrophils": "1945-08-20,first_dose,neutrophils"}, "date-before-birth", "1946-04-02"),
        ("findings.csv", {"2007-08-20,first_dose,neutrophils": "2031-08-20,first_dose,neutrophils"}, "date-in-future", "2031"),
        ("findings.csv", {"F2,EX-01": "F1,EX-01"}, "entry-twice", "'F1'"),
        ("findings.csv", {",digit lost on entry; source document says 171": ","}, "no-reason", "why_corrected"),
        ("findings.csv", {"2007-09-18,F": "2007-09-18,G"}, "corrects-nothing", "another line"),
        ("exposures.csv", {"lenalidomide,2.5": "lenalidomide,-2.5"}, "negative-value", "-2.5"),
        ("exposures.csv", {"EX-01,2007-08-20,2007-09-09": "EX-01,2007-08-20,2007-08-01"}, "end-before-start", "2007-08-01"),
        ("exposures.csv", {"EX-03,2007-09-10,2007-09-16": "EX-03,2007-09-08,2007-09-16"}, "exposures-overlap", "2007-09-08"),
        ("adverse_events.csv", {"tumor_flare,1": "tumor_flare,7"}, "unknown-value", "1, 2, 3, 4 or 5"),
        ("subjects.csv", {"EX-02,01,F": "EX-02,01,X"}, "unknown-value", "F, M, U"),
        ("subjects.csv", {"EX-02,01": "EX-01,01"}, "subject-twice", "'EX-01'"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_and_set_aside_and_the_rest_is_read(
    tmp_path: Path, file: str, change: dict[str, str], code: str, said: str
) -> None:
    whole = read_record(EXAMPLE, TODAY)
    record = read_changed(tmp_path / "record", file, change)
    found = [problem for problem in record.problems if problem.code == code and problem.severity == "error"]
    assert found, [str(problem) for problem in record.problems]
    assert said in str(found[0])
    assert found[0].location.file is not None
    assert found[0].location.file.endswith(file)
    assert found[0].location.line is not None
    assert any(item.line == found[0].location.line for item in record.rejected)
    table = file.removesuffix(".csv")
    lost = whole.tables[table].height - record.tables[table].height
    assert lost == len([item for item in record.rejected if item.table == table]) >= 1


def test_a_duplicate_line_is_said(tmp_path: Path) -> None:
    line = "V1,EX-01,2007-08-20,first_dose\n"
    record = read_changed(tmp_path / "record", "visits.csv", {line: line + line.replace("V1,", "V999,")})
    assert [problem.code for problem in record.problems if problem.severity == "error"] == ["duplicate-row"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (b"", "empty-file"),
        (b"entry,subject,date,visit\n", "no-rows"),
        (b"entry,subject,day,visit\nV1,EX-01,2007-08-20,x\n", "unknown-column"),
        (b"entry,subject,visit\nV1,EX-01,x\n", "missing-column"),
        (b"entry,subject,date,visit\nV1,EX-01,2007-08-20,x\nV2,EX-01,2007-0", "truncated"),
        (b'entry,subject,date,visit\nV1,EX-01,2007-08-20,"x\n', "unclosed-quote"),
        (b"\x00\x01\x02\x00", "not-text"),
        ("entry;subject;date;visit\nV1;EX-01;2007-08-20;café\n".encode("cp1252"), "encoding"),
        ("entry\tsubject\tdate\tvisit\nV1\tEX-01\t2007-08-20\tx\n".encode("utf-16"), "delimiter"),
    ],
)
def test_a_broken_file_is_told_and_does_not_stop_the_others(tmp_path: Path, change: bytes, code: str) -> None:
    record = read_changed(tmp_path / "record", "visits.csv", change)
    assert code in {problem.code for problem in record.problems}
    assert record.tables["subjects"].height == 8


def test_decimal_comma_in_a_semicolon_file(tmp_path: Path) -> None:
    lines = (EXAMPLE / "exposures.csv").read_text(encoding="utf-8").replace(",", ";").replace("2.5", "2,5")
    record = read_changed(tmp_path / "record", "exposures.csv", lines.encode())
    assert record.tables["exposures"].equals(read_record(EXAMPLE, TODAY).tables["exposures"])


def test_no_directory_and_no_subjects_are_errors(tmp_path: Path) -> None:
    with pytest.raises(TrialrunError, match="no such record directory"):
        read_record(tmp_path / "nowhere")
    with pytest.raises(TrialrunError, match=r"subjects\.csv"):
        read_record(tmp_path)


def test_parquet_and_csv_read_the_same(tmp_path: Path) -> None:
    record = read_record(EXAMPLE, TODAY)
    for name, table in record.tables.items():
        kept = table.drop("value_as_recorded", "unit_as_recorded", strict=False)
        kept.write_parquet(tmp_path / f"{name}.parquet")
    again = read_record(tmp_path, TODAY)
    assert again.content_hash == record.content_hash


def break_bytes(original: bytes, data: st.DataObject) -> bytes:
    at = data.draw(st.integers(0, len(original) - 1), "at")
    length = data.draw(st.integers(0, 40), "length")
    junk = data.draw(
        st.one_of(st.binary(max_size=8), st.sampled_from([b'"', b'"\n"', b"\n", b"\r", b";", b"\x85", b"\xe2\x80\xa8"]))
    )
    return original[:at] + junk + original[at + length :]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_line_of_a_broken_file_is_a_row_or_set_aside_word_for_word(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("sheet") / "findings.csv"
    path.write_bytes(break_bytes((EXAMPLE / "findings.csv").read_bytes()[:1500], data))
    columns = [column.name for column in TABLES["findings"]]
    sheet = read_sheet(path, "findings", columns, ["entry", "subject", "date", "test"])
    lines = [line for line in read_text(path).lines if line.strip(", \t")]
    raws = sheet.rows[RAW].to_list() if sheet.rows.width else []
    kept = [
        line
        for text in (*raws, *(item.text for item in sheet.rejected))
        for line in text.split("\n")
        if line.strip(", \t")
    ]
    assert sorted(kept) == sorted(lines[1:] if sheet.usable else lines)
    if sheet.rejected:
        assert any(problem.severity == "error" for problem in sheet.problems)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), name=st.sampled_from(["findings", "exposures", "consents", "adverse_events"]))
def test_a_broken_file_never_ends_in_a_traceback_and_loses_no_row(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str
) -> None:
    folder = tmp_path_factory.mktemp("record")
    for path in EXAMPLE.glob("*.csv"):
        (folder / path.name).write_bytes(path.read_bytes()[:4000].rsplit(b"\n", 1)[0] + b"\n")
    path = folder / f"{name}.csv"
    path.write_bytes(break_bytes(path.read_bytes(), data))
    record = read_record(folder, TODAY)
    required = [column.name for column in TABLES[name] if column.required]
    sheet = read_sheet(path, name, [column.name for column in (*TABLES[name], *KEPT.get(name, ()))], required)
    rejected = [item for item in record.rejected if item.table == name]
    assert record.tables[name].height + len(rejected) == sheet.rows.height + len(sheet.rejected)
    assert record.as_known_on(date(2007, 9, 17)).tables[name].height <= record.tables[name].height
