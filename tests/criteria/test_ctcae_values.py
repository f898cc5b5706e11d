"""Single values and arrays: what the text of each version says, by hand."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from trialrun.criteria.ctcae import correct_calcium, find_term, grade_one, grade_values
from trialrun.criteria.ctcae.engine import Columns, grade_term, round_significant
from trialrun.vocab.problems import TrialrunError


def grade(
    test: str,
    value: float,
    unit: str | None,
    low: float | None = None,
    high: float | None = None,
    baseline: float | None = None,
    version: str = "5.0",
    **more: float | str | None,
) -> int:
    found = grade_values(test, np.asarray([value]), unit, low, high, baseline, version=version, **more)  # type: ignore[arg-type]
    return int(found.signed[0])


NONE = -128


@pytest.mark.parametrize(
    ("test", "value", "unit", "expected"),
    [
        # test, value, unit, signed grades in 3.0, 4.03, 5.0, 6.0; limits below
        ("neutrophils", 1.6, "10^9/L", (-1, -1, -1, 0)),
        ("neutrophils", 1.5, "10^9/L", (-1, -1, -1, 0)),
        ("neutrophils", 1.49, "10^9/L", (-2, -2, -2, -1)),
        ("neutrophils", 0.5, "10^9/L", (-3, -3, -3, -2)),
        ("neutrophils", 0.49, "10^9/L", (-4, -4, -4, -3)),
        ("neutrophils", 99, "/uL", (-4, -4, -4, -4)),
        ("platelets", 30, "10^9/L", (-3, -3, -3, -3)),
        ("platelets", 24, "10^9/L", (-4, -4, -4, -3)),
        ("platelets", 9, "10^9/L", (-4, -4, -4, -4)),
        ("platelets", 9000, "/mm3", (-4, -4, -4, -4)),
        ("hemoglobin", 7.9, "g/dL", (-3, -3, -3, -3)),
        ("hemoglobin", 64, "g/L", (-4, -3, -3, -3)),
        ("hemoglobin", 4.9, "mmol/L", (-2, -2, -2, -2)),
        ("leukocytes", 0.9, "10^9/L", (-4, -4, -4, -4)),
        ("leukocytes", 101, "10^9/L", (0, 3, 3, 3)),
        ("lymphocytes", 0.3, "10^9/L", (-3, -3, -3, -1)),
        ("lymphocytes", 21, "10^9/L", (0, 3, 3, 3)),
        ("urate", 11, "mg/dL", (4, 4, NONE, NONE)),
        ("phosphate", 0.25, "mmol/L", (-4, -4, NONE, NONE)),
        ("phosphate", 2.4, "mg/dL", (-2, -2, NONE, NONE)),
        ("potassium", 6.2, "mmol/L", (3, 3, 3, 3)),
        ("potassium", 2.9, "mmol/L", (-3, -3, -3, -3)),
        ("potassium", 3.2, "meq/L", (-1, NONE, NONE, NONE)),
        ("calcium_corrected", 7.9, "mg/dL", (-2, -2, -2, -2)),
        ("calcium_corrected", 2.95, "mmol/L", (2, 2, 2, 2)),
        ("calcium_ionized", 0.85, "mmol/L", (-3, -3, -3, -3)),
        ("sodium", 125.5, "mmol/L", (-3, -3, NONE, NONE)),
        ("sodium", 119, "mmol/L", (-4, -4, -4, -4)),
        ("albumin", 19, "g/L", (-3, -3, -3, -3)),
        ("ldh", 260, "U/L", (NONE, NONE, 1, 1)),
        ("eosinophils", 0.9, "10^9/L", (NONE, NONE, NONE, NONE)),
        ("hdl_cholesterol", 0.8, "mmol/L", (NONE, NONE, NONE, -1)),
    ],
)
def test_versions_differ_where_the_documents_do(
    test: str, value: float, unit: str, expected: tuple[int, int, int, int]
) -> None:
    limits = {
        "neutrophils": (1.8, 7.5),
        "platelets": (150, 400),
        "hemoglobin": (12, 16),
        "leukocytes": (4, 11),
        "lymphocytes": (1, 4),
        "urate": (2.5, 7),
        "phosphate": (0.9, 1.45),
        "potassium": (3.5, 5.1),
        "calcium_corrected": (2.15, 2.55),
        "calcium_ionized": (1.15, 1.3),
        "sodium": (135, 145),
        "albumin": (35, 50),
        "ldh": (100, 250),
        "eosinophils": (0, 0.5),
        "hdl_cholesterol": (1.0, 2.0),
    }[test]
    if unit in ("/uL", "/mm3"):
        limits = (limits[0] * 1000, limits[1] * 1000)
    elif unit == "g/L" and test == "hemoglobin":
        limits = (120, 160)
    elif unit == "mmol/L" and test == "hemoglobin":
        limits = (7.5, 10)
    elif unit == "mg/dL" and test in ("phosphate", "calcium_corrected"):
        limits = (2.8, 4.5) if test == "phosphate" else (8.6, 10.2)
    found = tuple(grade(test, value, unit, *limits, version=v) for v in ("3.0", "4.03", "5.0", "6.0"))
    assert found == expected


def test_cut_points_of_the_reported_unit_apply() -> None:
    """8 mg/dL of calcium is 1.996 mmol/L: grade 1 in mg/dL, grade 2 in mmol/L, as each is printed."""
    assert grade("calcium_corrected", 8.0, "mg/dL", 8.6, 10.2) == -1
    assert grade("calcium_corrected", 1.996, "mmol/L", 2.15, 2.55) == -2
    assert grade("urate", 594, "umol/L", 150, 420, version="4.03") == 4  # 0.594 > 0.59 mmol/L, 9.99 mg/dL
    assert grade("urate", 9.99, "mg/dL", 2.5, 7, version="4.03", assume="best") == 1


def test_a_unit_that_is_not_printed_is_converted() -> None:
    """Creatinine of AKI is printed in mg/dL alone, fibrinogen in mg/dL, potassium in mmol/L."""
    term = find_term("Acute kidney injury", "4.03")
    values = np.asarray([353.0, 354.0])
    found = grade_term(term, Columns.of(values, baseline=300.0), "umol/L")
    assert found.grade.tolist() == [1, 3]  # 4.0 mg/dL is 353.6 umol/L
    assert grade("fibrinogen", 0.49, "g/L", 2.0, 4.0) == -4
    assert grade("potassium", 7.1, "meq/L", 3.5, 5.1) == 4
    assert grade("cholesterol", 0.78, "mmol/dL", 0.3, 0.52) == 2


def test_binary_rounding_does_not_move_a_cut_point() -> None:
    assert grade("alt", 0.1 + 0.2, "U/L", 0, 0.1, version="4.03") == 1  # 0.30000000000000004 is 3 x 0.1
    assert grade("neutrophils", 15.0 * 10 / 100, "10^9/L", 1.8) == -1
    assert grade("neutrophils", 4.7 * 31.9148936170212766 / 100, "10^9/L", 1.8) == -1
    assert grade("urate", 590.0, "umol/L", 150, 420, version="4.03", assume="best") == 1
    assert grade("urate", 590.0000001, "umol/L", 150, 420, version="4.03") == 4


def test_rounding_finds_the_decimal_number_that_is_meant() -> None:
    """Products of decimal numbers, as limits and multiples are, against decimal arithmetic; what must not change."""
    rng = np.random.default_rng(3)
    factors = np.round(rng.uniform(0.1, 25, 4000), 2)
    limits = np.round(10 ** rng.uniform(-3, 5, 4000), 4)
    exact = [float(Decimal(str(a)) * Decimal(str(b))) for a, b in zip(factors.tolist(), limits.tolist(), strict=True)]
    np.testing.assert_array_equal(round_significant(factors * limits), exact)
    as_written = np.asarray([0.0, -3.5, 1e-300, 0.1, 999.999999999999, 123456789.012345, np.inf])
    np.testing.assert_array_equal(round_significant(as_written), as_written)
    assert np.isnan(round_significant(np.asarray([np.nan])))[0]
    values = 10 ** rng.uniform(-6, 12, 2000)
    np.testing.assert_allclose(round_significant(values), values, rtol=1e-14)


class TestBaseline:
    """Grades relative to baseline: the traps of versions 4.03, 5.0 and 6.0."""

    def test_any_rise_of_creatinine_is_grade_1_in_4_03(self) -> None:
        assert grade("creatinine", 70, "umol/L", 45, 90, 69, "4.03") == 1
        assert grade("creatinine", 70, "umol/L", 45, 90, 69, "5.0") == 0
        assert grade("creatinine", 70, "umol/L", 45, 90, 69, "3.0") == 0

    def test_creatinine_twice_a_low_baseline(self) -> None:
        assert grade("creatinine", 80, "umol/L", 45, 90, 40, "5.0") == 2
        assert grade("creatinine", 80, "umol/L", 45, 90, 40, "6.0") == 2
        assert grade("creatinine", 80, "umol/L", 45, 90, 46, "6.0") == 0
        assert grade("creatinine", 80, "umol/L", 45, 90, 46, "5.0") == 2

    def test_alt_from_an_abnormal_baseline(self) -> None:
        grades = {
            v: [grade("alt", x, "U/L", 7, 40, 80, v) for x in (79, 100, 121, 161, 321)] for v in ("4.03", "5.0", "6.0")
        }
        assert grades == {"4.03": [1, 1, 2, 2, 3], "5.0": [0, 0, 1, 1, 2], "6.0": [0, 1, 2, 3, 4]}

    def test_alt_of_version_6_above_five_times_the_limit(self) -> None:
        """No grade is printed for 2.0 to 4.0 x baseline there."""
        explained = grade_one("alt", 700, "U/L", 7, 40, 250, version="6.0")
        assert (explained.grade, explained.low_end, explained.high_end) == (None, 2, 3)
        assert "published gap" in explained.missing[0]
        assert grade("alt", 700, "U/L", 7, 40, 250, "6.0", assume="worst") == 3
        assert grade("alt", 1001, "U/L", 7, 40, 250, "6.0") == 4
        assert grade("alt", 500, "U/L", 7, 40, 200, "6.0") == 3  # baseline at 5 x ULN still counts

    def test_low_baseline_is_not_high(self) -> None:
        assert grade("alt", 130, "U/L", 7, 40, 5, "5.0") == 2
        assert grade("alt", 130, "U/L", 7, 40, 5, "6.0") == 2

    def test_limits_of_the_baseline_record_say_whether_it_was_normal(self) -> None:
        assert grade("alt", 130, "U/L", 7, 40, 50, "5.0", baseline_high=60) == 2
        assert grade("alt", 130, "U/L", 7, 40, 50, "5.0", baseline_high=45) == 1

    def test_the_baseline_record_is_not_graded_against_itself(self) -> None:
        at = np.asarray([True])
        for version, expected in (("5.0", 2), ("6.0", 2)):
            found = grade_values("alt", np.asarray([130.0]), "U/L", 7.0, 40.0, 130.0, version=version, at_baseline=at)
            assert found.grade.tolist() == [expected]
        found = grade_values("alp", np.asarray([150.0]), "U/L", 40.0, 130.0, 150.0, version="6.0", at_baseline=at)
        assert found.grade.tolist() == [1]

    def test_without_a_baseline(self) -> None:
        assert grade("alt", 40, "U/L", 7, 40) == 0  # a baseline above ULN cannot grade a value that is not
        assert grade("alt", 41, "U/L", 7, 40) == NONE
        assert grade("creatinine", 90, "umol/L", 45, 90) == NONE
        assert grade("creatinine", 140, "umol/L", 45, 90) == 2
        assert grade("creatinine", 91, "umol/L", 45, 90, version="4.03") == NONE
        assert grade("creatinine", 90, "umol/L", 45, 90, version="6.0") == 0
        assert grade("creatinine", 90, "umol/L", 45, 90, version="3.0") == 0
        explained = grade_one("creatinine", 140, "umol/L", 45, 90, version="5.0")
        assert explained.missing == ("at least this grade, at most 3: baseline missing",)

    def test_alkaline_phosphatase_of_version_6_needs_both(self) -> None:
        assert grade("alp", 200, "U/L", 40, 130, 100, "6.0") == 1
        assert grade("alp", 200, "U/L", 40, 130, 210, "6.0") == 0
        assert grade("alp", 200, "U/L", 40, 130, None, "6.0") == NONE
        assert grade("alp", 120, "U/L", 40, 130, None, "6.0") == 0


class TestClinical:
    """What numbers alone cannot decide."""

    @pytest.mark.parametrize(
        ("test", "value", "unit", "low", "high", "version", "best", "worst"),
        [
            ("potassium", 3.2, "mmol/L", 3.5, 5.1, "5.0", 1, 2),
            ("urate", 500, "umol/L", 150, 420, "3.0", 1, 3),
            ("urate", 500, "umol/L", 150, 420, "6.0", 1, 3),
            ("sodium", 127, "mmol/L", 135, 145, "5.0", 2, 3),
            ("sodium", 129.5, "mmol/L", 135, 145, "5.0", 1, 3),
            ("sodium", 124.5, "mmol/L", 135, 145, "5.0", 2, 3),
            ("lipase", 250, "U/L", 10, 100, "5.0", 2, 3),
            ("lipase", 600, "U/L", 10, 100, "5.0", 3, 4),
            ("phosphate", 0.7, "mmol/L", 0.9, 1.45, "5.0", 1, 4),
            ("glucose", 10, "mmol/L", 3.9, 5.6, "6.0", 0, 2),
            ("bicarbonate", 18, "mmol/L", 22, 29, "5.0", 0, 1),
            ("egfr", 59.5, "mL/min/1.73m2", 90, 140, "4.03", 1, 2),
        ],
    )
    def test_range_and_ends(
        self, test: str, value: float, unit: str, low: float, high: float, version: str, best: int, worst: int
    ) -> None:
        explained = grade_one(test, value, unit, low, high, version=version)
        assert explained.grade is None
        assert (explained.low_end, explained.high_end) == (best, worst)
        assert abs(grade(test, value, unit, low, high, version=version, assume="best")) == best
        assert abs(grade(test, value, unit, low, high, version=version, assume="worst")) == worst

    def test_alternatives_in_words_alone_do_not_raise_a_grade(self) -> None:
        """`transfusion indicated` of anaemia grade 3 is not assumed, not even under worst; the explanation names it."""
        assert grade("hemoglobin", 9, "g/dL", 12, 16, assume="worst") == -2
        explained = grade_one("hemoglobin", 9, "g/dL", 12, 16, version="5.0")
        assert any("transfusion indicated" in line for line in explained.would_change)

    def test_assume_does_not_invent_limits(self) -> None:
        assert grade("potassium", 3.2, "mmol/L", None, 5.1, assume="worst") == NONE
        assert grade("hemoglobin", 11, "g/dL", None, None, assume="worst") == NONE

    def test_very_low_clearance_belongs_to_another_term(self) -> None:
        explained = grade_one("creatinine_clearance", 9, "mL/min", version="6.0")
        assert explained.grade is None
        assert explained.low_end is None
        assert "Acute kidney injury" in explained.missing[0]


def test_fixed_cut_points_stand_without_limits() -> None:
    assert grade("platelets", 60, "10^9/L") == -2
    assert grade("platelets", 80, "10^9/L") == NONE
    assert grade("neutrophils", 1.6, "10^9/L", version="6.0") == NONE  # the high term of 6.0 needs ULN
    assert grade("neutrophils", 1.4, "10^9/L", version="6.0") == -1
    assert grade("neutrophils", 1.45, "10^9/L", 1.4, 7.5) == -2  # LLN below the cut point


def test_missing_value_is_never_graded() -> None:
    found = grade_values("platelets", np.asarray([np.nan, 60.0]), "10^9/L", 150.0, 400.0, version="5.0")
    assert found.grade.tolist() == [-1, 2]
    assert found.low_end.tolist() == [-1, 2]


def test_corrected_calcium() -> None:
    """Both printed forms, by hand; version 3.0 corrects below 40 g/L only."""
    np.testing.assert_allclose(correct_calcium(np.asarray([2.0]), np.asarray([25.0]), "5.0"), [2.3])
    np.testing.assert_allclose(correct_calcium(np.asarray([8.0]), np.asarray([25.0]), "3.0", "mg/dL"), [9.2])
    np.testing.assert_allclose(correct_calcium(np.asarray([2.5]), np.asarray([45.0]), "5.0"), [2.4])
    np.testing.assert_allclose(correct_calcium(np.asarray([2.5]), np.asarray([45.0]), "3.0"), [2.5])
    assert np.isnan(correct_calcium(np.asarray([2.5]), np.asarray([np.nan]), "5.0")[0])
    with pytest.raises(TrialrunError):
        correct_calcium(np.asarray([2.5]), np.asarray([40.0]), "5.0", "mmol/dL")


def test_grams_and_giga_of_one_spelling() -> None:
    """`G/L` is grams for haemoglobin and giga for a count."""
    assert grade("hemoglobin", 79, "G/L", 120, 160) == -3
    assert grade("platelets", 60, "G/L", 150, 400) == -2


@pytest.mark.parametrize(
    ("test", "unit", "message"),
    [
        ("platlets", "10^9/L", "unknown test"),
        ("platelets", "10^8/L", "unknown unit"),
        ("platelets", "mg/dL", "does not fit"),
        ("albumin", "mmol/L", "does not fit"),
        ("neutrophils", "%", "does not fit"),
    ],
)
def test_what_is_refused(test: str, unit: str, message: str) -> None:
    with pytest.raises(TrialrunError, match=message):
        grade_values(test, np.asarray([1.0]), unit, version="5.0")


def test_explanation_of_one_result() -> None:
    explained = grade_one("neutrophils", 0.9, "10^9/L", 1.8, 7.5, version="5.0")
    assert (explained.grade, explained.direction, explained.term) == (3, "low", "Neutrophil count decreased")
    assert explained.rule == "< 1.0 10*9/L down to 0.5 10*9/L"
    assert explained.printed == "<1000 - 500/mm3; <1.0 - 0.5 x 10e9 /L"
    assert explained.values == ("value 0.9 10*9/L", "LLN 1.8 10*9/L", "ULN 7.5 10*9/L")
    assert explained.would_change[:2] == ("a lower grade at or above 1 10*9/L", "grade 4 at < 0.5 10*9/L")
    assert "CTCAE v5.0" in explained.as_text()
    assert explained.as_dict()["grade"] == 3


def test_explanation_refuses_what_cannot_be() -> None:
    with pytest.raises(TrialrunError, match="impossible value"):
        grade_one("hemoglobin", 12, "mg/dL", version="5.0")
    with pytest.raises(TrialrunError, match="reversed"):
        grade_one("sodium", 140, "mmol/L", 145, 135, version="5.0")


def test_a_test_without_a_term_has_no_grade() -> None:
    explained = grade_one("ldh", 300, "U/L", 100, 250, version="3.0")
    assert explained.grade is None
    assert "no laboratory term" in explained.missing[0]
