"""The lines of docs/how-to/lake.md, as they stand, in the engines that the tests have: each answers all right.

`make engines` asks the others too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.engine_questions import ENGINES, answers, lines, needed
from bench.engines import ASKED, PAGE, make_flows, verdict


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    make_flows(folder / "named", folder)
    return folder


@pytest.mark.parametrize("engine", ["DuckDB", "pyarrow", "pandas", "Polars"])
def test_an_engine_reads_the_folder_by_the_lines_of_the_page(
    engine: str, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lake)
    known: dict[str, object] = {}
    exec(lines(PAGE.read_text(), engine), known)
    found = answers(ENGINES[engine](known))
    assert {one: verdict(engine, one, found[one]) for one in ASKED} == dict.fromkeys(ASKED, "right")


def test_a_wrong_answer_is_told() -> None:
    assert verdict("DuckDB", "rows", 159) == "WRONG: 159"
    assert verdict("DuckDB", "null", 0) == "WRONG: [] for null"
    assert verdict("Iceberg", "null", 0) == "[] for null"
    assert verdict("Spark", "types", {"dst_port": "smallint"}).startswith("WRONG")


def test_the_page_has_lines_for_every_engine_and_says_what_each_answers() -> None:
    page = PAGE.read_text()
    assert all(needed(page, one) <= 5 for one in ENGINES if one != "Iceberg")
    table = [line.split(" | ")[0].strip("| ") for line in page.splitlines() if line.count(" | right") > 3]
    assert [one.rpartition(" ")[0] for one in table] == list(ENGINES)
