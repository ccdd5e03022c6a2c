"""`whowas report`: what it writes, refuses and says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.workbench import DAY, HOUR, rows, write

from whowas.cli import group
from whowas.errors import ConfigError, InputError, OutputError
from whowas.timestamps import rfc3339


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A folder of flows."""
    return write(tmp_path / "flows", rows(100))


def run(flows: Path, *words: str) -> Result:
    """Run it beside the flows. Raises: what it raises."""
    here = flows.parent
    told = ["report", "-f", str(flows), "-o", str(here / "r.html"), "--cache", str(here / "cache"), *words]
    return CliRunner().invoke(group, told, catch_exceptions=False, standalone_mode=True)


def test_it_writes_one_file(flows: Path) -> None:
    done = run(flows, "--json")
    told = json.loads(done.stdout)
    page = flows.parent / "r.html"
    assert done.exit_code == 0
    assert told["written"] == [str(page)]
    assert (told["flows"], told["bytes"]) == (100, page.stat().st_size)
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_a_range_may_be_open(flows: Path) -> None:
    late = sum(one["start_time"] >= DAY + HOUR for one in rows(100))
    assert json.loads(run(flows, "--json", "--since", rfc3339(DAY + HOUR)).stdout)["flows"] == late
    done = run(flows, "--json", "--until", rfc3339(DAY + HOUR), "--existing", "replace")
    assert json.loads(done.stdout)["flows"] == 100 - late
    span = run(flows, "--json", "--since", "9w", "--existing", "replace")
    assert json.loads(span.stdout)["flows"] == 100


def test_nothing_is_written_over_by_mistake(flows: Path) -> None:
    (flows.parent / "r.html").write_text("mine")
    with pytest.raises(OutputError, match="it exists; choose another name or say --existing replace"):
        run(flows)
    assert (flows.parent / "r.html").read_text() == "mine"
    assert run(flows, "--existing", "replace").exit_code == 0
    assert "mine" not in (flows.parent / "r.html").read_text()[:4]


def test_what_is_unreadable_makes_exit_code_1(flows: Path) -> None:
    next(flows.rglob("*.parquet")).write_bytes(b"PAR1 no more")
    done = run(flows)
    assert done.exit_code == 1
    assert (flows.parent / "r.html").exists()


def test_mistakes_are_said(flows: Path) -> None:
    with pytest.raises(ConfigError, match="cannot filter by 'nonsense'"):
        run(flows, "--filter", "nonsense")
    with pytest.raises(InputError, match="cannot read findings"):
        run(flows, "--findings", "nowhere.jsonl")
    assert run(flows, "--finding", "x").exit_code == 2
    assert run(flows.parent / "flows", "-o", str(flows.parent / "r.pdf"), "--pdf").exit_code == 2
    assert not (flows.parent / "r.html").exists()
