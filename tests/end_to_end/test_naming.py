"""A small churn score on the real control plane: nothing certain is wrong, and what can be known is certain.

`make churn-real` is the large one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.real_churn.playing import churn_of, play
from bench.real_churn.scoring import Result, score

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def result(servers_built: None, tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder: Path = tmp_path_factory.mktemp("seed")
    return score(play(folder, churn_of(seed=1, seconds=10, rate=25)), shrink=2)


def test_enough_was_asked(result: Result) -> None:
    assert result.counts["ends"] > 12_000
    assert result.counts["holds"] > 150
    assert result.counts["by time: known"] > 1000


def test_nothing_certain_is_wrong(result: Result) -> None:
    assert result.score.counts["wrong"] == 0, "\n".join(result.explained)


def test_what_stands_beside_a_name_is_right(result: Result) -> None:
    counts = result.score.counts
    assert counts["workload right"] == counts["named"] > 5000
    assert counts["labels right"] == counts["named"]
    assert counts["services right"] == counts["named"]
    assert counts["other word"] == result.counts["fixed: ends"] > 0
