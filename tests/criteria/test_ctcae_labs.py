"""Tables of results: every row comes back, and what is wrong with it is told."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialrun.criteria.ctcae import GradedLabs, grade_labs, grade_table
from trialrun.criteria.ctcae.files import read_labs
from trialrun.criteria.ctcae.report import add_adam, summary_rows
from trialrun.vocab.problems import TrialrunError

EXAMPLES = Path(__file__).parents[2] / "examples" / "labs"
Row = tuple[object, ...]


def table(*rows: Row, columns: str = "subject date test value unit low high baseline_flag") -> pl.DataFrame:
    return pl.DataFrame(
        [list(row) + [None] * (len(columns.split()) - len(row)) for row in rows],
        schema=dict.fromkeys(columns.split(), pl.String),
        orient="row",
    )


def one(*row: Row | object, **more: object) -> dict[str, object]:
    graded = grade_labs(table(row), "5.0", **more)  # type: ignore[arg-type]
    assert graded.height == 1
    return graded.row(0, named=True)


def codes(graded: GradedLabs) -> set[tuple[int, str]]:
    return set(graded.findings.select("row", "code").iter_rows())


def test_both_directions_and_adam_names() -> None:
    frame = pl.DataFrame(
        {
            "USUBJID": ["1"] * 5,
            "LBDTC": [f"2024-01-0{day}" for day in range(1, 6)],
            "LBTESTCD": ["SODIUM", "SODIUM", "SODIUM", "HGB", "SODIUM"],
            "LBSTRESN": [119.0, 161.0, 140.0, 181.0, None],
            "LBSTRESU": ["mmol/L", "mmol/L", "mmol/L", "g/L", "mmol/L"],
            "LBSTNRLO": [135.0, 135.0, 135.0, 120.0, 135.0],
            "LBSTNRHI": [145.0, 145.0, 145.0, 160.0, 145.0],
        }
    )
    graded = add_adam(grade_labs(frame, "5.0"))
    assert graded["ATOXGR"].to_list() == ["-4", "4", "0", "2", None]
    assert graded["ATOXGRL"].to_list() == ["4", "0", "0", "0", None]
    assert graded["ATOXGRH"].to_list() == ["0", "4", "0", "2", None]
    assert graded["direction"].to_list() == ["low", "high", None, "high", None]
    assert graded["ATOXDSCL"].to_list() == ["Hyponatremia"] * 3 + ["Anemia", "Hyponatremia"]
    assert graded["reason"].to_list()[-1] == "value missing"
    assert graded.columns[: len(frame.columns)] == frame.columns


def test_a_finding_or_a_reason_for_each_bad_row() -> None:
    graded = grade_table(
        table(
            ("1", "2024-01-01", "PLAT", "60", "10^9/L", "150", "400"),
            ("1", "2024-01-02", "PLAT", "sixty", "10^9/L", "150", "400"),
            ("1", "2024-01-03", "PLAT", "-3", "10^9/L", "150", "400"),
            ("1", "2024-01-04", "PLAT", "6", "10^9/L", "400", "150"),
            ("1", "2024-01-05", "PLAT", "140", "10^9/L", "400", "150"),
            ("1", "2024-01-06", "PLATLETS", "60", "10^9/L", "150", "400"),
            ("1", "2024-01-07", "PLAT", "60", "10^8/L", "150", "400"),
            ("1", "2024-01-08", "PLAT", "60", "mg/dL", "150", "400"),
            ("1", "2024-01-09", "PLAT", "60", "", "150", "400"),
            ("1", "2024-01-10", "PLAT", "", "10^9/L", "150", "400"),
            ("1", "2024-01-11", "", "60", "10^9/L", "150", "400"),
            ("1", "2024-01-12", "PLAT", "60000", "/uL", "150000", "400000"),
            ("1", "2024-01-13", "PLAT", "140", "10^9/L", "x", "400"),
            (None, "2024-01-14", "PLAT", "60", "10^9/L", "150", "400"),
            ("2", "2024-01-14", "HGB", "12", "g/L", "120", "160"),
            ("2", "2024-01-15", "HGB", "12", "mg/L", "120", "160"),
            ("2", "2024-01-15", "PLAT", "60", "10^9/L", "-1", "0"),
            ("2", "2024-01-16", "PLAT", "NA", "10^9/L", "NA", "."),
            ("2", "2024-01-17", "PLAT", "<20", "10^9/L", "150", "400"),
        ),
        "5.0",
    )
    assert graded.frame["grade"].to_list() == [
        2, None, None, 4, None, None, None, None, None, None, None, 2, None, 2, 3, None, 2, None, None,
    ]  # fmt: skip
    assert graded.frame.filter(pl.col("grade").is_null())["reason"].null_count() == 0
    found = codes(graded)
    assert found >= {
        (2, "not-a-number"),
        (3, "impossible-value"),
        (4, "reversed-limits"),
        (5, "reversed-limits"),
        (6, "unknown-test"),
        (7, "unknown-unit"),
        (8, "unit-mismatch"),
        (11, "unknown-test"),
        (12, "mixed-units"),
        (13, "not-a-number"),
        (14, "missing-subject"),
        (16, "impossible-value"),
        (17, "impossible-value"),
        (19, "not-a-number"),
    }
    assert not {row for row, code in found if code != "mixed-units"} & {1, 10, 15, 18}
    messages = dict(zip(graded.findings["row"], graded.findings["message"], strict=True))
    assert "platelets" in messages[6]
    assert graded.frame["reason"][1] == "the value is not a number: 'sixty'"
    assert graded.frame["reason"][4] == "LLN missing"


def test_repeated_rows() -> None:
    graded = grade_table(
        table(
            ("1", "2024-01-01", "PLAT", "60", "10^9/L", "150", "400"),
            ("1", "2024-01-01", "PLAT", "60", "10^9/L", "150", "400"),
            ("1", "2024-01-02", "PLAT", "60", "10^9/L", "150", "400"),
            ("1", "2024-01-02", "PLAT", "40", "10^9/L", "150", "400"),
            ("2", "2024-01-02", "PLAT", "40", "10^9/L", "150", "400"),
        ),
        "5.0",
    )
    assert codes(graded) == {
        (1, "duplicate-row"),
        (2, "duplicate-row"),
        (3, "contradicting-rows"),
        (4, "contradicting-rows"),
    }
    assert graded.frame["grade"].to_list() == [2, 2, 2, 3, 3]


def test_baseline_from_the_flagged_record_whatever_its_unit() -> None:
    graded = grade_table(
        table(
            ("1", "2024-01-01", "CREAT", "0.5", "mg/dL", "0.6", "1.1", "Y"),
            ("1", "2024-01-08", "CREAT", "80", "umol/L", "53", "97"),
            ("2", "2024-01-08", "CREAT", "80", "umol/L", "53", "97"),
            ("3", "2024-01-01", "CREAT", "40", "umol/L", "53", "97", "Y"),
            ("3", "2024-01-02", "CREAT", "50", "umol/L", "53", "97", "Y"),
            ("3", "2024-01-03", "CREAT", "80", "umol/L", "53", "97"),
        ),
        "6.0",
    )
    assert graded.frame["grade"].to_list()[:2] == [0, 2]  # 1.8 x a baseline of 44.2 umol/L, which is below LLN
    assert codes(graded) >= {(4, "unclear-baseline"), (5, "unclear-baseline"), (1, "mixed-units")}
    assert graded.frame["note"][0] == "baseline record: graded against the limits alone"


def test_a_baseline_column_counts_before_the_flag() -> None:
    columns = "subject test value unit low high baseline"
    graded = grade_labs(table(("1", "ALT", "130", "U/L", "7", "40", "62"), columns=columns), "5.0")
    assert graded["grade"].to_list() == [1]


class TestCalcium:
    """Total calcium needs the albumin of the day."""

    ROWS = (
        ("1", "2024-01-01T08:00", "CA", "1.98", "mmol/L", "2.15", "2.55"),
        ("1", "2024-01-01T08:10", "ALB", "25", "g/L", "35", "50"),
        ("1", "2024-01-02T08:00", "CA", "1.98", "mmol/L", "2.15", "2.55"),
        ("1", "2024-01-03T08:00", "CA", "7.9", "mg/dL", "8.6", "10.2"),
        ("1", "2024-01-03T08:00", "ALB", "3.5", "g/dL", "3.5", "5.0"),
        ("2", "2024-01-04T08:00", "CA", "1.98", "mmol/L", "2.15", "2.55"),
        ("2", "2024-01-04T08:00", "ALB", "25", "g/L", "35", "50"),
        ("2", "2024-01-04T09:00", "ALB", "40", "g/L", "35", "50"),
        ("2", "2024-01-04T10:00", "CA", "1.98", "mmol/L", "2.15", "2.55"),
    )

    def test_corrected_with_the_albumin_of_the_time_or_of_the_day(self) -> None:
        graded = grade_labs(table(*self.ROWS), "5.0")
        calcium = graded.filter(pl.col("test") == "CA")
        assert calcium["grade"].to_list() == [0, None, 1, 0, None]
        np.testing.assert_allclose(
            calcium["graded_value"].fill_null(-1).to_list(), [2.28, -1, 8.3, 2.28, -1], rtol=1e-12
        )
        assert calcium["reason"][1] == "albumin of the day missing: calcium cannot be corrected"
        assert calcium["note"][0] == "calcium corrected with the albumin of the day"

    def test_uncorrected_by_choice_only(self) -> None:
        graded = grade_labs(table(*self.ROWS), "5.0", uncorrected_calcium=True)
        calcium = graded.filter(pl.col("test") == "CA")
        assert calcium["grade"].to_list() == [0, 2, 1, 0, 2]
        assert calcium["note"][1] == "total calcium as it is, by choice: no albumin of the day"

    def test_without_a_unit(self) -> None:
        assert "unit missing" in str(one("1", "2024-01-01", "CA", "1.98", None, "2.15", "2.55")["reason"])


def test_urine_is_not_blood() -> None:
    columns = "subject test value unit low high specimen fasting"
    graded = grade_labs(
        table(
            ("1", "GLUC", "30", "mmol/L", "0", "1", "URINE"),
            ("1", "GLUC", "10", "mmol/L", "3.9", "5.6", "SERUM", "Y"),
            ("1", "GLUC", "10", "mmol/L", "3.9", "5.6", "SERUM", "N"),
            ("1", "PH", "7.1", None, "5", "7", "URINE"),
            ("1", "PH", "7.1", None, "7.35", "7.45", "ARTERIAL BLOOD"),
            ("1", "PH", "7.1", None, "7.35", "7.45"),
            ("1", "PROTEXR", "3.6", "g/day", "0", "0.15", "URINE"),
            columns=columns,
        ),
        "6.0",
    )
    assert graded["grade"].to_list() == [None, 2, 0, None, 3, None, 3]
    assert graded["reason"][0] == "glucose in urine has no term"


def test_limits_from_a_separate_table() -> None:
    limits = pl.DataFrame({"test": ["PLAT", "HGB"], "unit": ["10^9/L", "g/L"], "low": [150, 120], "high": [400, 160]})
    frame = table(
        ("1", "2024-01-01", "PLAT", "140000", "/uL"),
        ("1", "2024-01-01", "HGB", "12.5", "g/dL", "13", "17"),
        ("1", "2024-01-02", "HGB", "11.5", "g/dL"),
    )
    graded = grade_labs(frame, "5.0", limits=limits)
    assert graded["grade"].to_list() == [1, 1, 1]
    assert graded["note"].to_list() == ["limits from the table of limits", None, "limits from the table of limits"]
    with pytest.raises(TrialrunError, match="row 1 of the limits"):
        grade_labs(frame, "5.0", limits=limits.with_columns(low=pl.lit(500)))
    with pytest.raises(TrialrunError, match="unknown test"):
        grade_labs(frame, "5.0", limits=limits.with_columns(test=pl.lit("PLATLETS")))
    with pytest.raises(TrialrunError, match="twice"):
        grade_labs(frame, "5.0", limits=pl.concat([limits, limits]))


def test_columns_of_the_same_name_are_kept() -> None:
    frame = table(("1", "PLAT", "60", "10^9/L", "x", "y"), columns="subject test value unit grade ATOXGR")
    graded = add_adam(grade_labs(frame, "5.0"))
    assert graded["grade"].to_list() == [2]
    assert graded["grade_given"].to_list() == ["x"]
    assert graded["ATOXGR_given"].to_list() == ["y"]


def test_no_rows_and_no_columns() -> None:
    assert grade_labs(table(), "5.0").height == 0
    with pytest.raises(TrialrunError, match="no column for the value"):
        grade_labs(pl.DataFrame({"test": ["PLAT"]}), "5.0")
    with pytest.raises(TrialrunError, match="unknown grading criteria"):
        grade_labs(table(), "ctcae-9")


def test_only_test_and_value_are_needed() -> None:
    graded = grade_labs(pl.DataFrame({"test": ["INR"], "value": [2.6]}), "5.0")
    assert graded["grade"].to_list() == [3]


class TestFiles:
    """Encodings, delimiters, broken files."""

    TEXT = "subject,test,value,unit,low,high\nS-é,PLAT,60,10^9/L,150,400\n"

    def write(self, folder: Path, content: bytes) -> Path:
        path = folder / "labs.csv"
        path.write_bytes(content)
        return path

    @pytest.mark.parametrize(
        ("encoding", "said", "problems"),
        [("utf-8", "UTF-8", 0), ("utf-8-sig", "UTF-8", 0), ("utf-16", "UTF-16", 0), ("cp1252", "Windows-1252", 1)],
    )
    def test_encodings(self, tmp_path: Path, encoding: str, said: str, problems: int) -> None:
        found = read_labs(self.write(tmp_path, self.TEXT.encode(encoding)))
        assert found.frame["subject"].to_list() == ["S-é"]
        assert said in found.read_as
        assert len(found.problems) == problems

    @pytest.mark.parametrize(("mark", "said"), [(";", "semicolon"), ("\t", "tab"), ("|", "bar")])
    def test_delimiters(self, tmp_path: Path, mark: str, said: str) -> None:
        found = read_labs(self.write(tmp_path, self.TEXT.replace(",", mark).encode()))
        assert found.frame.width == 6
        assert said in found.read_as

    def test_quotation_marks_and_line_ends(self, tmp_path: Path) -> None:
        found = read_labs(self.write(tmp_path, b'subject,test,value\r\n"a, b",PLAT,60\r\n'))
        assert found.frame.row(0) == ("a, b", "PLAT", "60")

    def test_cut_off_lines_stay_and_are_told(self, tmp_path: Path) -> None:
        found = read_labs(self.write(tmp_path, (self.TEXT + "S-2,PLAT,60,10").encode()))
        assert found.frame.height == 2
        assert found.problems[0].code == "ragged-line"
        assert found.problems[0].location.line == 3
        found = read_labs(self.write(tmp_path, (self.TEXT + '"S-2,PLAT,60,10').encode()))
        assert found.problems[-1].code == "broken-line"

    @pytest.mark.parametrize("content", [b"", b"  \n"])
    def test_empty_file(self, tmp_path: Path, content: bytes) -> None:
        with pytest.raises(TrialrunError, match="empty"):
            read_labs(self.write(tmp_path, content))

    def test_header_alone(self, tmp_path: Path) -> None:
        found = read_labs(self.write(tmp_path, b"test,value\n"))
        assert grade_labs(found.frame, "5.0").height == 0

    def test_what_is_no_table(self, tmp_path: Path) -> None:
        with pytest.raises(TrialrunError, match="not text"):
            read_labs(self.write(tmp_path, b"\x7fELF\x00\x00"))
        with pytest.raises(TrialrunError, match="twice in the header"):
            read_labs(self.write(tmp_path, b"test,value,value\n"))
        with pytest.raises(TrialrunError, match="no such file"):
            read_labs(tmp_path / "nowhere.csv")
        whole = (EXAMPLES / "thiomon.parquet").read_bytes()
        broken = tmp_path / "cut.parquet"
        broken.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(TrialrunError, match="cannot be read"):
            read_labs(broken)


@pytest.fixture(scope="module")
def panels() -> pl.DataFrame:
    spec = importlib.util.spec_from_file_location("thiomon_long", EXAMPLES / "thiomon_long.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    long: pl.DataFrame = module.read_panels()
    return long


class TestSamplings:
    """The 5,168 real samplings that ship."""

    def test_as_they_are_fixed_cut_points_decide(self, panels: pl.DataFrame) -> None:
        """Counts against thresholds applied to the wide table directly."""
        graded = grade_table(panels, "5.0")
        assert graded.frame.height == 5168 * 17
        assert graded.findings.height == 0
        assert (graded.frame["grade"] == 0).sum() == 0
        wide = pl.read_parquet(EXAMPLES / "thiomon.parquet")
        neutrophils = (wide["wbc"] * wide["neut_percent"] / 100).round(9)
        counts = {row["test"]: row for row in summary_rows(graded)}
        for column, test, cuts in (
            (neutrophils, "neutrophils", (1.5, 1.0, 0.5)),
            (wide["plt"], "platelets", (75, 50, 25)),
            (wide["wbc"], "leukocytes", (3, 2, 1)),
            (wide["hgb"], "hemoglobin", (10, 8)),
        ):
            for grade, (upper, lower) in enumerate(zip(cuts, (*cuts[1:], -1), strict=True), 2):
                expected = ((column < upper) & (column >= lower)).sum()
                assert counts[test][str(grade)] == expected, (test, grade)

    def test_with_assumed_limits(self, panels: pl.DataFrame) -> None:
        limits = pl.read_csv(EXAMPLES / "assumed_limits.csv", infer_schema=False)
        graded = grade_table(panels, "4.03", assume="worst", limits=limits)
        left = graded.frame.filter(pl.col("grade").is_null())
        assert set(left["reason"].unique()) <= {
            "value missing",
            "baseline missing",
            "albumin of the day missing: calcium cannot be corrected",
            "CTCAE 4.03 has no laboratory term for eosinophils here",
            "CTCAE 4.03 has no laboratory term for bicarbonate here",
        }
        platelets = graded.frame.filter(pl.col("test") == "platelets")
        wide = pl.read_parquet(EXAMPLES / "thiomon.parquet")
        assert (platelets["grade"] == 1).sum() == ((wide["plt"] < 150) & (wide["plt"] >= 75)).sum()
