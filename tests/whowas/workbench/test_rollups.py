"""Roll-ups follow their hours: made once, made again when files change, never among the flows, never half."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.workbench import DAY, HOUR, rows, served, write

from whowas.errors import ConfigError, InputError
from whowas.workbench.rollups import Rollups


def made(cache: Path) -> dict[str, int]:
    """Files of a cache, with when they were made."""
    return {str(one): one.stat().st_mtime_ns for one in cache.rglob("*.parquet")}


def flows_of(kept: Rollups) -> int:
    """How many flows a cache counts."""
    return sum(sum(pq.read_table(one.path("edges_10m"))["flows"].to_pylist()) for one in kept.state.ready.values())


def test_only_what_changed_is_built_again(tmp_path: Path) -> None:
    folder = write(tmp_path / "flows", rows(100))
    first = Rollups(str(folder), tmp_path / "cache")
    first.build_all()
    before = made(tmp_path / "cache")
    assert len(first.state.ready) == 3
    assert len(before) == 18
    again = Rollups(str(folder), tmp_path / "cache")
    again.build_all()
    assert made(tmp_path / "cache") == before
    assert flows_of(again) == 100

    late = rows(10, seed=2, hours=1)
    write(folder, late, "b")
    again.build_all()
    after = made(tmp_path / "cache")
    assert flows_of(again) == 110
    assert len(after) == 18, "what an hour was before is removed"
    assert len(set(after) - set(before)) == 6


def test_an_hour_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    folder = write(tmp_path / "flows", rows(100))
    kept = Rollups(str(folder), tmp_path / "cache")
    kept.build_all()
    shutil.rmtree(next(folder.rglob("event_hour=1")))
    kept.build_all()
    assert len(kept.state.ready) == 2
    assert len(made(tmp_path / "cache")) == 12


def test_newest_hours_come_first_and_the_page_says_which_are_ready(tmp_path: Path) -> None:
    flows = rows(90)
    folder = write(tmp_path / "flows", flows)
    with served(folder, tmp_path / "cache") as page:
        shutil.rmtree(tmp_path / "cache")
        (tmp_path / "cache").mkdir()
        page.bench.rollups.keep_in(page.bench.rollups.kept)
        nothing = page.ask("/api/ends", {}).json
        assert (nothing["about"]["hours"], nothing["about"]["ready"], nothing["flows"]) == (3, 0, [])
        assert "0 of 3 hours are ready" in nothing["about"]["partial"]
        page.bench.rollups.build_all(until=lambda: True)
        one = page.ask("/api/ends", {}).json
        newest = [row for row in flows if row["start_time"] >= DAY + 2 * HOUR]
        assert (one["about"]["ready"], sum(one["flows"])) == (1, 2 * len(newest))
        assert page.ask("/api/status").json["ready"] == 1
        assert len(page.ask("/api/flows", {"limit": 1000}).json["flow_id"]) == 90, "pages do without roll-ups"


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    folder = write(tmp_path / "flows", rows(20, hours=1))
    kept = Rollups(str(folder), tmp_path / "cache")
    (hour,) = kept.state.found.hours
    half = kept.folder / hour.id / f".begun-{hour.key}"
    half.mkdir(parents=True)
    (half / "edges_10m.parquet").write_bytes(b"PAR1")
    kept.build_all()
    assert [one.name for one in (kept.folder / hour.id).iterdir()] == [hour.key]


def test_a_damaged_file_is_said_and_the_rest_is_there(tmp_path: Path) -> None:
    folder = write(tmp_path / "flows", rows(60))
    hours = sorted(folder.rglob("event_hour=*"))
    (hours[0] / "whowas-broken.parquet").write_bytes(b"PAR1 nothing PAR1")
    for one in hours[1].glob("*.parquet"):
        one.write_bytes(b"no Parquet at all")
    with served(folder, tmp_path / "cache") as page:
        told = page.ask("/api/status").json
        assert (told["hours"], told["ready"], told["building"]) == (3, 2, False)
        assert any(told["unreadable"])
        assert sum(page.ask("/api/ends", {}).json["flows"]) > 0


@pytest.mark.parametrize("where", ["flows", "flows/inside"])
def test_a_cache_among_the_flows_is_refused(tmp_path: Path, where: str) -> None:
    folder = write(tmp_path / "flows", rows(5))
    before = sorted(map(str, folder.rglob("*")))
    with pytest.raises(ConfigError, match="among the flows"):
        Rollups(str(folder), tmp_path / where)
    assert sorted(map(str, folder.rglob("*"))) == before


def test_flows_are_not_written_to(tmp_path: Path) -> None:
    folder = write(tmp_path / "flows", rows(30))
    before = {str(one): one.stat().st_mtime_ns for one in folder.rglob("*")}
    with served(folder, tmp_path / "cache") as page:
        page.ask("/api/flows", {})
    assert {str(one): one.stat().st_mtime_ns for one in folder.rglob("*")} == before


def test_a_link_out_of_the_folder_is_left_out_and_said(tmp_path: Path) -> None:
    folder = write(tmp_path / "flows", rows(30, hours=1))
    other = write(tmp_path / "other", rows(30, seed=2, hours=1))
    (hour,) = folder.rglob("event_hour=*")
    os.symlink(next(other.rglob("*.parquet")), hour / "whowas-link.parquet")
    with served(folder, tmp_path / "cache") as page:
        assert sum(page.ask("/api/ends", {}).json["flows"]) == 60
        ((name, why),) = page.ask("/api/status").json["unreadable"]
        assert (name, why) == ("whowas-link.parquet", "it is a link that leads out of the folder")


def test_flows_without_folders_of_hours_are_served_too(tmp_path: Path) -> None:
    made_up = rows(50)
    folder = write(tmp_path / "flows", made_up)
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, one in enumerate(sorted(folder.rglob("*.parquet"))):
        shutil.copy(one, flat / f"{number}.parquet")
    with served(flat, tmp_path / "cache") as page:
        within = {"since": DAY + 100, "until": DAY + HOUR + 5}
        mine = [one for one in made_up if DAY + 100 <= one["start_time"] < DAY + HOUR + 5]
        assert sum(page.ask("/api/ends", {"range": within}).json["flows"]) == 2 * len(mine)
        assert len(page.ask("/api/flows", {"range": within, "limit": 1000}).json["flow_id"]) == len(mine)


def test_no_flows_are_no_page(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        Rollups(str(tmp_path / "missing"), tmp_path / "cache")


def test_numbers_of_hostile_records_do_not_stop_an_hour(tmp_path: Path) -> None:
    made_up = rows(20, hours=1)
    for one in made_up:
        one |= {"bytes_out": (1 << 63) - 1, "bytes_in": (1 << 63) - 1, "packets_out": -5}
    with served(write(tmp_path / "flows", made_up), tmp_path / "cache") as page:
        told = page.ask("/api/ends", {}).json
        assert sum(told["flows"]) == 40
        assert max(told["bytes"]) == (1 << 63) - 1
        assert sum(page.ask("/api/histogram", {}).json["flows"]) == 20
        talked = page.ask("/api/talkers", {"by": "bytes"}).json
        assert sum(one["flows"] for one in talked["edges"]) == 20
        assert {one["bytes"] for one in talked["edges"]} == {(1 << 63) - 1}
        assert page.ask("/api/map", {"by": "workload"}).json["left_out"] == [0, 0, 0]


def test_a_cache_that_is_damaged_is_made_again(tmp_path: Path) -> None:
    folder = write(tmp_path / "flows", rows(40))
    with served(folder, tmp_path / "cache"):
        pass
    for one in (tmp_path / "cache").rglob("links.parquet"):
        one.write_bytes(b"PAR1")
    with served(folder, tmp_path / "cache") as page:
        assert sum(page.ask("/api/ends", {}).json["flows"]) == 80
        assert page.ask("/api/status").json["unreadable"] == []


def test_an_hour_that_changes_is_counted_anew(tmp_path: Path) -> None:
    folder = write(tmp_path / "flows", rows(60))
    with served(folder, tmp_path / "cache") as page:
        assert sum(page.ask("/api/histogram", {}).json["flows"]) == 60
        write(folder, rows(15, seed=2, hours=1), "b")
        page.bench.rollups.build_all()
        assert sum(page.ask("/api/histogram", {}).json["flows"]) == 75
        assert sum(one["flows"] for one in page.ask("/api/talkers", {"limit": 1000}).json["edges"]) == 75


def test_parts_of_an_hour_come_from_minutes(tmp_path: Path) -> None:
    """Flows may be gone: what lies between two minutes is not read from them."""
    made_up = rows(200, hours=1)
    folder = write(tmp_path / "flows", made_up)
    since, until = DAY + 7 * 60_000_000, DAY + 43 * 60_000_000
    within = {"range": {"since": since, "until": until}}
    with served(folder, tmp_path / "cache") as page:
        for one in folder.rglob("*.parquet"):
            one.write_bytes(b"nothing")
        mine = sum(since <= one["start_time"] < until for one in made_up)
        assert sum(page.ask("/api/ends", within).json["flows"]) == 2 * mine
        assert sum(page.ask("/api/histogram", within).json["flows"]) == mine
        assert sum(one["flows"] for one in page.ask("/api/map", within).json["edges"]) == mine


def test_what_was_loaded_by_half_is_never_counted_by_half(tmp_path: Path) -> None:
    folder = write(tmp_path / "flows", rows(40))
    with served(folder, tmp_path / "cache"):
        pass
    broken = sorted((tmp_path / "cache").rglob("edges_10m.parquet"))[0]
    broken.write_bytes(b"PAR1")
    with served(folder, tmp_path / "cache") as page:
        told = page.ask("/api/status").json
        ends = page.ask("/api/ends", {}).json
        assert sum(ends["flows"]) == 2 * told["flows"]
        assert told["flows"] == 40 or told["unreadable"]
