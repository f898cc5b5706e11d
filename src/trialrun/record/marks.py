"""Lines that cannot be used, gathered while a record is read."""

from __future__ import annotations

from collections.abc import Iterable

from trialrun.vocab.problems import Location, Problem, Severity


class Marks:
    """Problems found, and for each table which lines they set aside and why."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._rows: dict[str, dict[int, list[str]]] = {}

    def add(
        self,
        table: str,
        file: str,
        lines: Iterable[int],
        code: str,
        message: str,
        found: str | None = None,
        expected: str | None = None,
        severity: Severity = "error",
    ) -> None:
        """The same problem on these lines; an error sets the line aside, a warning keeps it."""
        for line in lines:
            self.problems.append(Problem(code, message, found, expected, Location(file, int(line)), severity))
            if severity == "error":
                self._rows.setdefault(table, {}).setdefault(int(line), []).append(message)

    def rows(self, table: str) -> dict[int, list[str]]:
        """The lines of a table that are set aside, with the reasons."""
        return self._rows.get(table, {})
