from __future__ import annotations

import numpy as np
import pytest

from rehearse.tasks import DAY, STUDIES, files_of
from trialrun.rehearse import Request, rehearse
from trialrun.simulate.ensemble import Ensemble, write_ensemble


@pytest.fixture(scope="session")
def request_of(tmp_path_factory: pytest.TempPathFactory) -> Request:
    """70 subjects in 7 trials of 10 over an ensemble of 5 sets, two cycles, both versions."""
    names = ("immune.inflammation_gain", "lysis.hit_rate")
    values = np.column_stack([np.linspace(10, 18, 5), np.full(5, 0.001)])
    file = tmp_path_factory.mktemp("sets") / "ensemble.parquet"
    write_ensemble(Ensemble(names, values, np.full(5, 0.2), {"facts": {}}), file)
    study = str(STUDIES / "lenalidomide-cll")
    return Request(((study, "original"), (study, "amendment-1")), None, 10, 7, 4, 2, str(file))


@pytest.fixture(scope="session")
def whole(request_of: Request, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What that request leaves behind, made at once in this process."""
    out = tmp_path_factory.mktemp("whole")
    rehearse(request_of, out, DAY)
    return files_of(out)
