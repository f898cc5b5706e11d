"""How trouble is told: where it is, what was found, what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Location:
    """A place in an input: file, line and column (both counted from 1), and the path of keys that leads there."""

    file: str | None = None
    line: int | None = None
    column: int | None = None
    path: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        if self.path is None:
            return place
        return f"{place} ({self.path})" if place else self.path


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong or doubtful in an input.

    `code` is a stable kebab-case name (`unknown-unit`); `message` is one sentence without a final full stop;
    `found` quotes what stands there; `expected` says what would be right.
    """

    code: str
    message: str
    found: str | None = None
    expected: str | None = None
    location: Location = field(default_factory=Location)
    severity: Severity = "error"

    def __str__(self) -> str:
        place = str(self.location)
        text = f"{place}: {self.message}" if place else self.message
        if self.found is not None:
            text += f"; found {self.found}"
        if self.expected is not None:
            text += f"; right would be {self.expected}"
        return text

    def as_dict(self) -> dict[str, str | int | None]:
        """The problem as plain values, for JSON and CSV output."""
        return {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "found": self.found,
            "expected": self.expected,
            "file": self.location.file,
            "line": self.location.line,
            "column": self.location.column,
            "path": self.location.path,
        }


class TrialrunError(Exception):
    """An input or a request that cannot be used; carries one or more problems."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any of the problems is an error rather than a warning or a note."""
    return any(problem.severity == "error" for problem in problems)
