"""However a study file is mangled: it is read, or it is refused with problems that have a place. Never a traceback."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trialrun.plan.calendar import plan_version, planned_visits
from trialrun.plan.planned import planned_doses_section
from trialrun.protocol import Protocol, read_protocol
from trialrun.protocol.check import check_static
from trialrun.protocol.diff import compare_versions
from trialrun.protocol.prose import describe_version
from trialrun.protocol.render_html import render_html
from trialrun.vocab.problems import Problem, TrialrunError

STUDY = Path(__file__).parents[2] / "studies" / "lenalidomide-cll"
LINES = (STUDY / "protocol.yaml").read_text(encoding="utf-8").splitlines()
ODD = [
    *("null", "[]", "{}", "5", "-1", "1e400", ".nan", "''", "NO", "true", "[1, 2]", "{a: b}", "*x", "&x y", "!!set {}"),
    *("2020-01-01", "10 mg", "neutrophils", "not not not", "(" * 50, "9" * 400, "|", ">-", "'", '"', "\t", "%", "@"),
    "\u00e9\u2028",
]


@st.composite
def mangled(draw: st.DrawFn) -> str:
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        how = draw(st.integers(0, 6))
        if how == 0:
            del lines[at]
        elif how == 1:
            lines.insert(at, draw(st.sampled_from(LINES)))
        elif how == 2:
            lines[at] = line.split(":", 1)[0] + ": " + draw(st.sampled_from(ODD))
        elif how == 3:
            lines[at] = " " * draw(st.integers(0, 12)) + line.lstrip()
        elif how == 4:
            cut = draw(st.integers(0, len(line)))
            lines[at] = line[:cut] + draw(st.text(max_size=3)) + line[cut + draw(st.integers(0, 2)) :]
        elif how == 5:
            lines[at] = draw(st.sampled_from(ODD)) + ": " + line.split(":", 1)[-1]
        else:
            lines = lines[:at]
        if not lines:
            break
    return "\n".join(lines) + "\n"


def _use(protocol: Protocol) -> None:
    """What can be read can be checked, shown, compared and planned."""
    check_static(protocol)
    names = list(protocol.versions)
    compare_versions(protocol, names[0], names[-1])
    for version in protocol.versions.values():
        plan = plan_version(version)
        render_html(describe_version(protocol, version, [planned_doses_section(plan, 2)]))
        assert list(planned_visits(plan, 2))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=mangled())
def test_no_traceback(text: str) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "protocol.yaml"
        file.write_text(text, encoding="utf-8", errors="surrogatepass")
        problems: tuple[Problem, ...] = ()
        try:
            _use(read_protocol(file))
        except TrialrunError as error:
            problems = error.problems or (Problem("nothing", "refused without a problem"),)
    assert all(problem.location.file for problem in problems)
