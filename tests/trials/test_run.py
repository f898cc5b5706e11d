"""Whole trials with known event times, worked out by hand.

One participant every 28 days, screening 14 days: consent on days 0, 28, 56, 84, ..., first dose 14 days later. Notice
takes 1 day, the review 10, the amended version 20 more.
"""

from __future__ import annotations

import numpy as np
import pytest

from trialrun.protocol import Protocol
from trialrun.trials.run import Trials, run_trials
from trialrun.trials.tables import changed_day, first_version, tabulate_subjects, tabulate_trials
from trials.fake import Happens, conduct, setting

INF = np.inf
LYSIS = "tumor_lysis_syndrome"
BOTH = ("original", "amendment-1")


def _run(protocol: Protocol, happens: Happens, versions: tuple[str, ...] = BOTH, **more: object) -> Trials:
    how = conduct(**more)  # type: ignore[arg-type]
    return run_trials(setting(protocol, versions, happens, how), trials=1, subjects=5)


def test_without_events_no_rule_acts(protocol: Protocol) -> None:
    done = _run(protocol, {})
    row = tabulate_trials(done).row(0, named=True)
    assert done.enrolment.consent.tolist() == [[0, 28, 56, 84, 112]]
    assert (row["paused"], row["amended"], row["stopped"], row["harmed"], row["pauses"]) == (False,) * 3 + (0, 0)
    assert (row["treated"], row["treated_on_start"], row["enrolment_days"]) == (5, 5, 112)
    # four cycles of 28 days after the last first dose on day 126
    assert row["duration_days"] == 126 + 112
    assert done.conducted == 5


def test_a_trial_is_amended_by_its_own_rule(protocol: Protocol) -> None:
    # the first participant has clinical lysis 40 days after the first dose (day 14): day 54
    done = _run(protocol, {0: [(40, LYSIS, 3.0)]})
    actions = done.actions
    assert actions.trigger.tolist() == [[54]]
    assert actions.closed.tolist() == [[[55, 85]]]
    assert actions.activation.tolist() == [[0, 85]]
    # the third would have come on day 56: one day of open enrolment was left when it closed on day 55
    assert done.enrolment.consent.tolist() == [[0, 28, 86, 114, 142]]
    assert first_version(done).tolist() == [[0, 0, 1, 1, 1]]
    # the first one's treatment ended with the lysis; the second (first dose day 42) is in cycle 2 on day 85, and changes
    # when the third cycle is due, 56 days after its first dose
    assert changed_day(done).tolist() == [[INF, 98, INF, INF, INF]]
    row = tabulate_trials(done).row(0, named=True)
    assert (row["paused"], row["paused_while_enrolling"], row["amended"], row["stopped"]) == (True, True, True, False)
    assert (row["pause_day"], row["halt_day"], row["amended_day"], row["closed_days"]) == (54, 55, 85, 30)
    assert (row["treated_by_pause"], row["treated_on_start"], row["treated_on_amended"]) == (2, 2, 3)
    assert (row["harmed"], row["harmed_before_pause"], row["harmed_before_end_of_start"]) == (1, 1, 1)
    assert (row["changed_version"], row["pauses"], row["with_tumor_lysis_syndrome"]) == (1, 1, 1)


def test_who_is_in_screening_is_enrolled_on_the_amended_version(protocol: Protocol) -> None:
    # death of sepsis on day 14 + 20 = 34; the second participant is in screening from 28 to 42
    done = _run(protocol, {0: [(20, "infection", 5.0)]})
    assert done.actions.closed.tolist() == [[[35, 65]]]
    assert done.enrolment.consent.tolist() == [[0, 65, 86, 114, 142]]
    assert first_version(done).tolist() == [[0, 1, 1, 1, 1]]
    row = tabulate_trials(done).row(0, named=True)
    assert (row["toxic_deaths"], row["deaths"], row["treated_by_pause"], row["harmed_before_pause"]) == (1, 1, 1, 1)


def test_without_an_amendment_enrolment_goes_on_after_the_review(protocol: Protocol) -> None:
    done = _run(protocol, {0: [(40, LYSIS, 3.0)]}, ("original",))
    assert done.actions.closed.tolist() == [[[55, 65]]]
    assert done.enrolment.consent.tolist() == [[0, 28, 66, 94, 122]]
    assert not tabulate_trials(done)["amended"][0]


def test_a_case_that_the_board_has_seen_does_not_pause_again_and_a_new_one_does(protocol: Protocol) -> None:
    # the second participant's lysis (day 42 + 20 = 62) falls into the pause; the fourth's (consent 122 - 28 = 94,
    # first dose 108, day 108 + 7 = 115) comes after it
    happens = {0: [(40, LYSIS, 3.0)], 1: [(20, LYSIS, 2.0)], 3: [(7, LYSIS, 1.0)]}
    done = _run(protocol, happens, ("original",))
    assert done.actions.trigger.tolist() == [[54, 115]]
    assert done.actions.closed.tolist() == [[[55, 65], [116, 126]]]
    # the fifth consented on day 122 - and would come after 22 of 28 days of open enrolment, so 6 days after the pause
    assert done.enrolment.consent.tolist() == [[0, 28, 66, 94, 132]]
    row = tabulate_trials(done).row(0, named=True)
    assert (row["pauses"], row["harmed"], row["harmed_before_pause"], row["closed_days"]) == (2, 3, 1, 20)
    assert row["paused_by_two"]
    assert not tabulate_trials(_run(protocol, {2: [(7, LYSIS, 1.0)]}, ("original",)))["paused_by_two"][0]


def test_a_second_case_of_one_participant_is_no_new_case(protocol: Protocol) -> None:
    happens = {1: [(20, LYSIS, 1.0), (60, LYSIS, 2.0)]}
    assert _run(protocol, happens, ("original",)).actions.trigger.tolist() == [[62]]


def test_the_second_pause_is_answered_by_the_second_amendment(protocol: Protocol) -> None:
    # after the amendment (day 85) the third participant (first dose day 100) has lysis on day 110
    happens = {0: [(40, LYSIS, 3.0)], 2: [(10, LYSIS, 2.0)]}
    done = _run(protocol, happens)
    assert done.actions.trigger.tolist() == [[54, 110]]
    assert done.actions.closed.tolist() == [[[55, 85], [111, 121]]]  # nothing is left to amend: the review alone
    assert done.actions.activation.tolist() == [[0, 85]]
    row = tabulate_trials(done).row(0, named=True)
    assert (row["harmed_on_start"], row["harmed_on_amended"], row["harmed_before_end_of_start"]) == (1, 1, 1)


def test_a_rule_that_stops_the_study_ends_enrolment_and_treatment(stopping: Protocol) -> None:
    done = _run(stopping, {0: [(40, LYSIS, 3.0)]})
    assert done.actions.stop.tolist() == [55]
    assert done.enrolment.consent.tolist() == [[0, 28, INF, INF, INF]]
    subjects = tabulate_subjects(done)
    # lysis ends the first treatment at the next visit, day 56; the study was stopped the day before
    assert subjects["treatment_ended_day"].to_list() == [55, 55, None, None, None]
    assert subjects["version_at_consent"].to_list() == ["original", "original", None, None, None]
    assert subjects["tumor_lysis_syndrome_grade"].to_list() == [3.0, 0.0, None, None, None]
    row = tabulate_trials(done).row(0, named=True)
    assert (row["stopped"], row["stopped_day"], row["amended"], row["enrolled"], row["treated"]) == (
        True,
        55,
        False,
        2,
        2,
    )


def test_both_harms_in_the_first_two(protocol: Protocol) -> None:
    happens = {0: [(42, LYSIS, 3.0)], 1: [(20, "infection", 5.0)]}
    row = tabulate_trials(_run(protocol, happens)).row(0, named=True)
    # lysis on day 56, death on day 62, before the amended version is active on day 87
    assert (row["first_two_harmed"], row["first_two_lysis_and_death"], row["harmed_before_end_of_start"]) == (
        True,
        True,
        2,
    )
    assert (row["harmed_before_pause"], row["amended_day"]) == (1, 87)
    swapped = tabulate_trials(_run(protocol, {0: [(20, "infection", 5.0)], 1: [(20, LYSIS, 1.0)]})).row(0, named=True)
    # the second is enrolled after the death paused the trial, on the amended version
    assert (swapped["first_two_harmed"], swapped["first_two_lysis_and_death"]) == (False, False)


def test_an_event_counts_from_the_day_it_is_known(protocol: Protocol) -> None:
    # every event is late by about 10,000 days, so it is told at the next visit that asks: 42 days after the first dose
    done = _run(protocol, {0: [(37, LYSIS, 3.0)]}, late=(1.0, 1e4))
    subjects = tabulate_subjects(done)
    assert (subjects["tumor_lysis_syndrome_day"][0], subjects["tumor_lysis_syndrome_known_day"][0]) == (51, 56)
    assert done.actions.trigger.tolist() == [[56]]


def test_cohorts_wait_inside_a_trial(protocol: Protocol) -> None:
    done = _run(protocol, {0: [(10, LYSIS, 3.0)]}, ("original",), every=7.0, cohort=(3, 28), notice=0)
    # consent 0, 7; lysis on day 24 pauses until 34. The third would come on day 14 and has its first dose on day 28:
    # it is in screening, and consents again on day 34. Its first dose is on day 48; the next cohort opens on day 76
    assert done.actions.closed.tolist() == [[[24, 34]]]
    assert done.enrolment.consent.tolist() == [[0, 7, 34, 83, 90]]


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_trials_are_the_same_in_any_company(protocol: Protocol, chunk: int) -> None:
    happens = {2: [(30, LYSIS, 2.0)], 7: [(12, "infection", 5.0)], 11: [(50, LYSIS, 1.0)]}
    made = setting(protocol, BOTH, happens, conduct(every=20.0, pattern="poisson", missed=0.1, late=(0.5, 4.0)))
    whole = run_trials(made, trials=4, subjects=4)
    part = run_trials(made, trials=2, subjects=4, first_trial=1, chunk=chunk)
    assert tabulate_trials(whole)[1:3].equals(tabulate_trials(part))
    assert tabulate_subjects(whole)[4:12].equals(tabulate_subjects(part))
    assert tabulate_trials(whole)["paused"].to_list() == [True, True, True, False]


def test_two_harmed_before_enrolment_is_closed(protocol: Protocol) -> None:
    # lysis of the first and of the second participant, both on day 54
    happens = {0: [(40, LYSIS, 3.0)], 1: [(12, LYSIS, 1.0)]}
    row = tabulate_trials(_run(protocol, happens)).row(0, named=True)
    assert (row["pause_day"], row["harmed_before_pause"], row["first_two_harmed"]) == (54, 2, True)
    # one day later, on the day of notice, before enrolment is closed on day 56
    later = tabulate_trials(_run(protocol, {**happens, 1: [(13, LYSIS, 1.0)]}, notice=2)).row(0, named=True)
    assert (later["pause_day"], later["halt_day"], later["harmed_before_pause"], later["pauses"]) == (54, 56, 2, 1)
