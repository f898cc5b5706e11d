"""The biology of n subjects, moved on day by day by the compiled kernel."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from trialrun.simulate.model.compiled import compile_model
from trialrun.simulate.model.generate import LANES
from trialrun.simulate.subjects import VirtualSubjects
from trialrun.vocab.problems import Problem, TrialrunError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# What goes on before the first dose; drug, activation, leukaemia and marrow stand still until then.
_BEFORE: tuple[str, ...] = (
    "urate",
    "phosphate",
    "potassium",
    "potassium_stored",
    "calcium",
    "creatinine",
    "filtration",
    "oxypurinol",
)
_BEFORE = (*_BEFORE, "rasburicase", "phosphate_threshold", "potassium_drive")
CO_TREATMENTS = ("allopurinol", "hydration", "rasburicase", "steroid", "gcsf")


class Biology:
    """States of n subjects in blocks of lanes; the last block is filled with copies of the last subject.

    Memory: about 2 kB a subject. Numbers of a subject do not depend on n, on `threads` or on the other subjects.
    """

    def __init__(self, subjects: VirtualSubjects, threads: int = 1) -> None:
        self.n = subjects.index.size
        self._model = subjects.model
        self._kernel = compile_model(self._model)
        self._row = {name: row for row, name in enumerate(self._model.states)}
        self._threads = threads
        self._blocks = -(-self.n // LANES)
        self._states = self._in_blocks(subjects.states)
        self._numbers = self._kernel.prepare(self._in_blocks(subjects.constants))
        self._inputs = np.zeros((self._blocks, len(self._model.inputs), LANES))
        self._index = subjects.index

    def _in_blocks(self, columns: FloatArray) -> FloatArray:
        padded = np.concatenate([columns, np.repeat(columns[:, -1:], self._blocks * LANES - self.n, axis=1)], axis=1)
        return np.ascontiguousarray(padded.reshape(len(columns), self._blocks, LANES).transpose(1, 0, 2)).copy()

    def state(self, name: str) -> FloatArray:
        """One state of every subject now, (n,), units as in layout.STATES."""
        return np.asarray(self._states[:, self._row[name], :].flatten()[: self.n])  # a copy, also of a single block

    def scale_state(self, name: str, rows: IntArray, factor: FloatArray) -> None:
        """Multiply a state of these rows (m,) at once: a hit from outside the model."""
        self._states[rows // LANES, self._row[name], rows % LANES] *= factor
        if rows.size and rows[-1] == self.n - 1:  # the copies that fill the last block
            self._states[-1, self._row[name], (self.n - 1) % LANES :] = self._states[
                -1, self._row[name], (self.n - 1) % LANES
            ]

    def advance_day(self, dose: FloatArray, treatments: Mapping[str, FloatArray]) -> None:
        """One day: `dose` (n,) mg at its start, `treatments` (n,) 0 or 1 by name; absent names are not given."""
        self._set_inputs(dose, treatments)
        self._run()

    def prepare_day(self, treatments: Mapping[str, FloatArray]) -> None:
        """One day before the first dose: lysis products and kidney follow co-treatments; the disease stands still."""
        still = [row for name, row in self._row.items() if name not in _BEFORE]
        kept = self._states[:, still, :].copy()
        self._set_inputs(np.zeros(self.n), treatments)
        self._run()
        self._states[:, still, :] = kept

    def _set_inputs(self, dose: FloatArray, treatments: Mapping[str, FloatArray]) -> None:
        self._inputs[:] = 0.0
        for row, name in enumerate(self._model.inputs):
            given = dose if name == "dose" else treatments.get(name.removesuffix("_given"))
            if given is not None:
                full = np.zeros(self._blocks * LANES)
                full[: self.n] = given
                full[self.n :] = full[self.n - 1]
                self._inputs[:, row, :] = full.reshape(self._blocks, LANES)

    def _run(self) -> None:
        parts = np.array_split(np.arange(self._blocks), min(self._threads, self._blocks))
        slices = [slice(part[0], part[-1] + 1) for part in parts]
        if len(slices) == 1:
            ends = [self._advance(slices[0])]
        else:
            with ThreadPoolExecutor(len(slices)) as pool:
                ends = list(pool.map(self._advance, slices))
        for part, end in zip(slices, ends, strict=True):
            if end < 0:
                # the copies that fill the last block are the last subject
                subject = min(part.start * LANES - end - 1, self.n - 1)
                raise TrialrunError(
                    Problem(
                        "no-solution",
                        "the equations of a virtual subject cannot be solved for a day",
                        f"subject {self._index[subject]}",
                        "parameters within the range of the population file",
                    )
                )

    def _advance(self, part: slice) -> int:
        return self._kernel.advance_day(self._states[part], self._numbers[part], self._inputs[part])
