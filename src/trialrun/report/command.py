"""What `trialrun report` does: find out what a directory is, and write its page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trialrun import __version__
from trialrun.analysis.plan_file import PlanFile
from trialrun.analysis.run import Run, VersionInfo, read_run
from trialrun.analysis.versions import derive_plan_file, derive_version_info
from trialrun.plan.calendar import plan_version
from trialrun.protocol.read import read_protocol
from trialrun.record import Record, read_record
from trialrun.report.page import write_record_report, write_report
from trialrun.report.signature import make_signature
from trialrun.vocab.problems import Problem, TrialrunError

PLANNED_CYCLES = 60  # how far the plan is unrolled for a record, whose length is not known beforehand: over four years


def write_page(
    directory: Path,
    out: Path | None,
    protocol: str | None,
    progress: Callable[[str], None] | None = None,
    signature: Path | None = None,
) -> tuple[Path, tuple[Problem, ...]]:
    """Write the page of a run or of a record; returns its path and what was found wrong with the record's lines.

    `protocol` (a file or `file@version`) tells of a record which dose levels, target and cycle it was to follow.
    `signature` is a folder that `trialrun signature` wrote.
    """
    section = make_signature(signature) if signature is not None else None
    path = out if out is not None else directory / "report.html"
    if (directory / "run.json").exists():
        if protocol is not None:
            raise TrialrunError(
                Problem("protocol-not-needed", "a run names its own protocol", protocol, "no --protocol for a run")
            )
        return write_report(read_run(directory), path, progress, section), ()
    if not directory.is_dir():
        raise TrialrunError(
            Problem(
                "not-a-run-directory",
                "there is nothing to report on",
                str(directory),
                "a directory that `trialrun simulate` or `trialrun compare` wrote, or a record directory",
            )
        )
    record = read_record(directory).current
    run, plan = describe_record(record, directory, protocol)
    return write_record_report(run, record.tables, plan, path, progress, section), tuple(record.problems)


def describe_record(record: Record, directory: Path, protocol: str | None) -> tuple[Run, PlanFile]:
    """A record as a run of one version: that of the protocol, or `as recorded` with the doses that were taken."""
    run = Run(
        directory,
        "record",
        directory.resolve().name,
        None,
        (),
        program_version=__version__,
        record_hash=record.content_hash,
    )
    if protocol is None:
        taken = record.tables["exposures"]["dose"].drop_nulls().unique().sort().to_list()
        levels = tuple(dose for dose in taken if dose > 0)
        return replace(run, versions=(VersionInfo("as recorded", "", levels_mg=levels),)), PlanFile()
    file, _, version = protocol.partition("@")
    whole = read_protocol(file)
    plan = plan_version(whole.version(version or None))
    described = replace(
        run,
        title=whole.study.title,
        study=whole.study.id,
        versions=(derive_version_info(plan, PLANNED_CYCLES),),
        protocol_file=file,
        protocol_hash=whole.hash,
    )
    return described, derive_plan_file(plan, PLANNED_CYCLES)
