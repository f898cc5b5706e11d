"""Tumour lysis that ends: the hold is over, the record has one event with its end, and decides the same again."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from trialrun.analysis.outcomes import derive_outcomes
from trialrun.analysis.run import read_run, read_tables
from trialrun.engine.today import decide_on
from trialrun.protocol import Protocol, read_protocol
from trialrun.record import Record, read_record
from trialrun.rehearse import Request, rehearse

ROOT = Path(__file__).resolve().parents[2]
RAMP_UP = ROOT / "studies" / "venetoclax-rampup"
LYSIS = pl.col("term") == "tumor_lysis_syndrome"
WITHOUT = ("allopurinol", "hydration", "iv_fluids", "rasburicase")


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Protocol:
    """The ramp-up without its steps and without prophylaxis: 400 mg from day 1."""
    text = (RAMP_UP / "protocol.yaml").read_text(encoding="utf-8")
    text, changed = re.subn(r"^      start: 20 mg$", "      start: 400 mg", text, flags=re.MULTILINE)
    assert changed == 1
    for name in WITHOUT:
        text, changed = re.subn(rf"(^      {name}:\n(?:        .*\n)*?        while: ).*$", r"\1day < -99 days", text,
                                flags=re.MULTILINE)  # fmt: skip
        assert changed == 1
    file = tmp_path_factory.mktemp("protocol") / "protocol.yaml"
    file.write_text(text, encoding="utf-8")
    return read_protocol(file)


@pytest.fixture(scope="module")
def run(at_once: Protocol, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    arms = ((str(at_once.file), "published"),)
    rehearse(
        Request(arms, str(RAMP_UP / "population.yaml"), 80, 1, seed=3, cycles=3, ensemble=None), out, date(2026, 1, 1)
    )
    return out


@pytest.fixture(scope="module")
def record(run: Path) -> Record:
    return read_record(run / "published" / "record")


def test_the_record_has_one_event_with_its_end(record: Record) -> None:
    assert [problem for problem in record.problems if problem.severity != "note"] == []
    events = record.current.tables["adverse_events"].filter(LYSIS)
    assert events.height > 10
    assert events.select("subject", "date").is_unique().all()
    alive = events.filter(pl.col("grade") < 5)
    assert alive["end_date"].null_count() == 0
    assert (alive["end_date"] < alive["known"]).all()
    corrections = record.tables["adverse_events"].filter(LYSIS & pl.col("corrects").is_not_null())
    assert corrections.height >= events.height
    assert set(corrections["why_corrected"]) == {"the event became worse", "the event ended"}


def test_the_hold_is_over_when_lysis_is(record: Record) -> None:
    decisions, events = record.tables["decisions"], record.current.tables["adverse_events"]
    resumed = 0
    for row in events.filter(LYSIS & (pl.col("grade") < 5)).iter_rows(named=True):
        mine = decisions.filter((pl.col("subject") == row["subject"]) & (pl.col("date") >= row["date"]))
        during = mine.filter(pl.col("date") <= row["end_date"])["action"]
        assert set(during) <= {"hold", "stop", "undetermined"}
        resumed += "resume" in mine.filter(pl.col("date") >= row["known"])["action"].to_list()
    assert resumed > 10
    held = record.tables["exposures"].filter(pl.col("reason") == "held")
    assert ((held["end_date"] - held["date"]).dt.total_days() < 60).all()


def test_episodes_are_events(run: Path, record: Record) -> None:
    events = record.current.tables["adverse_events"].filter(LYSIS).group_by("subject").len("n")
    described = read_run(run)
    info = described.versions[0]
    kept = pl.read_parquet(run / info.folder / "outcomes.parquet")
    read = derive_outcomes(read_tables(described, info), info)
    for outcomes in (kept, read):
        episodes = outcomes.select("subject", "ctls_reported_episodes").filter(pl.col("ctls_reported_episodes") > 0)
        both = episodes.join(events, on="subject", how="full")
        assert (both["ctls_reported_episodes"] == both["n"]).all()


def test_every_decision_around_lysis_is_decided_again(at_once: Protocol, record: Record) -> None:
    worse = record.tables["adverse_events"].filter(pl.col("why_corrected") == "the event became worse")["subject"]
    events = record.current.tables["adverse_events"].filter(LYSIS)
    some = [*worse.unique().sort()[:3], *events["subject"].unique().sort()[:3]]
    decisions = record.tables["decisions"].filter(pl.col("subject").is_in(some)).sort("subject", "date")
    assert "resume" in decisions["action"]
    for row in decisions.iter_rows(named=True):
        again = decide_on(at_once, record, row["subject"], row["date"])
        assert (again.action, again.dose, again.rule) == (row["action"], row["dose"], row["rule"]), row


def test_an_event_mended_for_a_slip_is_not_news(at_once: Protocol, record: Record) -> None:
    """Only what went on is told before its correction: a wrong start date never counted as it stood."""
    (first,) = record.tables["adverse_events"].filter(LYSIS & (pl.col("corrects").is_null())).head(1).to_dicts()
    known = first["date"] + timedelta(days=30)
    moved = {**first, "entry": "slip", "corrects": first["entry"], "why_corrected": "wrong date",
             "date": first["date"] + timedelta(days=1), "end_date": known, "known": known}  # fmt: skip
    events = record.tables["adverse_events"]
    kept = events.filter(pl.col("subject") != first["subject"])
    mended = pl.concat([kept, pl.DataFrame([first, moved], schema=events.schema)])
    other = Record({**record.tables, "adverse_events": mended})
    day = first["date"] + timedelta(days=7)
    assert decide_on(at_once, other, first["subject"], day).action == "hold"
    assert (
        decide_on(at_once, other, first["subject"], known + timedelta(days=1)).rule
        != "dose_modification.clinical_lysis"
    )
