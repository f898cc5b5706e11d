"""The page of a run: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import polars as pl

from trialrun.analysis.estimates import MONTE_CARLO_ONLY
from trialrun.analysis.outcomes import derive_outcomes, read_outcomes
from trialrun.analysis.plan_file import PlanFile, read_plan_file
from trialrun.analysis.prediction_text import describe_ensemble
from trialrun.analysis.published import Published, read_published
from trialrun.analysis.rows import Row
from trialrun.analysis.run import Run, VersionInfo, published_file, read_tables
from trialrun.analysis.summary import summarize_outcomes
from trialrun.report import comparison, predictions, schedule, sections
from trialrun.report.figures import COLORS, DASHES
from trialrun.report.model import Page, Section, Table, rows_of
from trialrun.report.names import rename_rows, rename_run, short_names
from trialrun.report.survival import make_survival
from trialrun.report.view import VersionView, derive_view
from trialrun.vocab.yaml_source import parse_yaml

Progress = Callable[[str], None]

_LIMITS = (
    "Virtual participants stand for an assumed population, not for patients. Nothing here predicts what happens to a "
    "person.",
    f"Intervals are {MONTE_CARLO_ONLY}. They shrink with the number simulated; doubt about the model does not.",
    "Differences are paired: the same virtual participants, with the same luck, under each version. A trial of real "
    "people would see more chance.",
    "What was not measured at a visit is missing, as in a trial: laboratory peaks between visits are not seen.",
)
_LIMITS_RECORD = (
    "This is a description of the record as it stands. Nothing is adjusted, and a participant who has left early is "
    "counted with what was known until then.",
)


def write_report(run: Run, path: Path, progress: Progress | None = None, signature: Section | None = None) -> Path:
    """Write the page of a run directory to `path`; `progress` is told what is being done. Returns the path.

    `signature` is a section from `report.signature.make_signature`.
    """
    tell = progress or (lambda said: None)
    views, outcomes = [], {}
    for info in run.versions:
        tell(f"counting {info.version}")
        tables = read_tables(run, info)
        outcomes[info.version] = read_outcomes(run, info, tables)
        plan = read_plan_file(run.directory / info.folder / "plan.json")
        views.append(derive_view(tables, outcomes[info.version], info, plan))
    where = published_file(run)
    published = None if where is None else read_published(where)
    tell("estimating")
    rows = summarize_outcomes(outcomes, run, published)
    tell("drawing")
    names = short_names([info.version for info in run.versions])
    short = rename_run(run, names)
    views = [replace(view, info=info) for view, info in zip(views, short.versions, strict=True)]
    return _write(make_page(short, views, rename_rows(rows, names), published, signature), path)


def write_record_report(
    run: Run,
    tables: Mapping[str, pl.DataFrame],
    plan: PlanFile,
    path: Path,
    progress: Progress | None = None,
    signature: Section | None = None,
) -> Path:
    """As `write_report`, from the tables of a real study's record: what was observed, nothing simulated.

    `run` describes the record and has one version; `plan` is that version's, or empty.
    """
    tell = progress or (lambda said: None)
    tell("counting")
    info = run.versions[0]
    outcomes = derive_outcomes(tables, info)
    view = derive_view(tables, outcomes, info, plan)
    rows = summarize_outcomes({info.version: outcomes}, run, None)
    tell("drawing")
    return _write(make_page(run, [view], rows, None, signature), path)


def _write(page: Page, path: Path) -> Path:
    path.write_text(render_page(page), encoding="utf-8")
    return path


def make_page(
    run: Run,
    views: Sequence[VersionView],
    rows: Sequence[Row],
    published: Published | None,
    signature: Section | None = None,
) -> Page:
    """The parts of the page in the order in which they are read; `signature` is the molecular signature's section."""
    parts = [
        predictions.make_predictions(rows, run),
        predictions.make_order(rows, run),
        _study(run, views),
        schedule.make_schedule(views),
        sections.make_doses(views),
        _lysis(run, views, rows),
        sections.make_toxicity(views),
        sections.make_lymphocytes(views),
        sections.make_response(views),
        make_survival(views, run.virtual),
        signature,
        None if published is None else comparison.make_published(rows, run, published),
        None if published is None else predictions.make_benchmarks(rows, run, published),
        _numbers(run, rows),
        _limits(run, published),
    ]
    return Page(
        title=run.title or run.study,
        subtitle=_subtitle(run),
        warning="Simulated: no number on this page was observed in a person, except those marked published."
        if run.virtual
        else None,
        facts=_facts(run),
        cards=comparison.make_cards(rows, run),
        flows=tuple(sections.make_flow(view) for view in views),
        sections=tuple(part for part in parts if part is not None),
        glossary=read_glossary(run.virtual),
        legend=tuple(
            (info.version, COLORS[place % len(COLORS)], " ".join(map(str, DASHES[place % len(DASHES)])))
            for place, info in enumerate(run.versions)
        ),
        notices=run.notices,
    )


def _subtitle(run: Run) -> str:
    versions = [info.version for info in run.versions]
    names = " and ".join([", ".join(versions[:-1]), versions[-1]] if versions[1:] else versions)
    if not run.virtual:
        return "What was observed"
    trials = f"{run.trials} trials of " if run.trials > 1 else ""
    verb = "compared on" if run.kind == "compare" else "simulated on"
    same = "the same " if run.kind == "compare" else ""
    return f"{names}, {verb} {same}{trials}{run.subjects:,} virtual participants over {run.cycles} cycles"


def _facts(run: Run) -> tuple[tuple[str, str], ...]:
    known: list[tuple[str, object]] = [
        ("Study", run.study),
        ("Protocol file", None if run.protocol_file is None else Path(run.protocol_file).name),
        ("Protocol hash", run.protocol_hash),
        *((f"Version {_full(info)}", info.hash) for info in run.versions),
        ("Population hash", run.population_hash),
        ("Record hash", run.record_hash),
        ("Seed", run.seed),
        ("Participants in a trial", run.subjects),
        ("Trials", run.trials if run.virtual else None),
        ("Cycles", run.cycles),
        ("Parameter sets", None if run.ensemble is None else describe_ensemble(run)),
        ("trialrun", run.program_version),
        ("Made on", run.made_on),
    ]
    return tuple((name, str(value)) for name, value in known if value is not None)


def _full(info: VersionInfo) -> str:
    """The name of a version, with its study where the page uses a short one."""
    return info.version if info.folder == info.version else f"{info.version} ({info.folder})"


def _study(run: Run, views: Sequence[VersionView]) -> Section:
    plans = {view.info.version: view.plan for view in views}
    lines = [
        [
            _full(info),
            ", ".join(f"{level:g}" for level in info.levels_mg) + " mg" if info.levels_mg else "not stated",
            "not stated" if info.target_mg is None else f"{info.target_mg:g} mg",
            "not stated"
            if info.days_on is None or info.cycle_days is None
            else f"days 1 to {info.days_on} of {info.cycle_days}",
            _planned(info, plans.get(info.version, PlanFile())),
        ]
        for info in run.versions
    ]
    table = Table(
        "Versions of the protocol",
        ("Version", "Dose levels", "Target", "Drug given", "Dose a day if nothing is held"),
        rows_of(lines),
    )
    return Section("study", "Study", tables=(table,))


def _planned(info: VersionInfo, plan: PlanFile) -> str:
    """The planned doses as steps: `10 mg from day 1, 15 mg from day 8` (study days)."""
    if plan.waits_for:
        return f"depends on what is found: {', '.join(plan.waits_for)}"
    steps = []
    last = 0.0
    for day, dose in enumerate(info.planned_mg):
        if dose > 0 and dose != last:
            steps.append(f"{dose:g} mg from day {day + 1}")
            last = dose
    return ", ".join(steps) or "not stated"


def _lysis(run: Run, views: Sequence[VersionView], rows: Sequence[Row]) -> Section:
    paragraphs = (
        "Laboratory tumour lysis needs two abnormal values of urate, phosphate, potassium and calcium. Cairo-Bishop "
        "2004 counts values past fixed bounds or 25 % from baseline within the window; Howard 2011 only past the "
        "bounds, two within 24 hours.",
        "The published window runs from 3 days before to 7 days after the first dose. A schedule that steps up can "
        "cause lysis later: the step-up windows are the same days around every first higher dose and every restart "
        "after more than 7 unplanned days off as well.",
        "Fewer than two of the four values in a window cannot exclude lysis: such a participant is not assessable, "
        "which is not the same as free of it.",
    )
    table = comparison.make_estimates(rows, run, ("Tumour lysis",), "Tumour lysis by definition and window")
    return Section("lysis", "Tumour lysis", paragraphs, figures=sections.make_labs(views), tables=(table,), legend=True)


def _numbers(run: Run, rows: Sequence[Row]) -> Section:
    groups = ("Tumour flare", "Blood counts", "Infection and death", "Response", "Dose", "Lymphocytes")
    table = comparison.make_estimates(rows, run, groups, "Estimates with 95 % intervals")
    spread = comparison.make_between_trials(rows, run)
    words = ["Shares with exact (Clopper-Pearson) intervals; other numbers are medians with theirs."]
    if len(run.versions) > 1:
        words.append(
            "Differences rest on the participants who could be assessed under both versions: of shares in percentage "
            "points (Newcombe's interval for paired shares), of other numbers the mean (bootstrap)."
        )
    if run.virtual:
        words.append(f"Intervals are {MONTE_CARLO_ONLY}.")
    tables = (table,) if spread is None else (table, spread)
    return Section("numbers", "All numbers", tuple(words), tables=tables)


def _limits(run: Run, published: Published | None) -> Section:
    points = _LIMITS if run.virtual else _LIMITS_RECORD
    own = () if published is None or not run.virtual else tuple(published.limits)
    return Section("limits", "What this page cannot say", points=(*points, *own), kind="warning")


def read_glossary(virtual: bool) -> tuple[tuple[str, str], ...]:
    """Terms and what they mean, in alphabetical order; with those of simulation where the participants are virtual."""
    text = files("trialrun.report").joinpath("data/glossary.yaml").read_text(encoding="utf-8")
    data: dict[str, dict[str, str]] = parse_yaml(text, "glossary.yaml").data
    terms = data["always"] | (data["simulated"] if virtual else {})
    return tuple(sorted(terms.items(), key=lambda item: item[0].casefold()))


def render_page(page: Page) -> str:
    """The page as HTML: styles and figures inside, no address of anything outside."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("trialrun.report", "data"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("trialrun.report").joinpath("data/style.css").read_text(encoding="utf-8")
    return environment.get_template("page.html.j2").render(page=page, style=style)
