"""What a summary says is missing: the option, what to give it, and for how much; addresses where there are no names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.cluster_story import Story, live, stamp
from support.flow_logs import line, zeek

from whowas.batch import summary
from whowas.cli import group
from whowas.schema import CONFIDENCES

IP, PEER = "10.244.1.5", "10.244.1.9"


def replay(*words: str, out: Path, code: int = 0) -> Any:
    result = CliRunner().invoke(group, ["replay", *words, "-o", str(out), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def text(*words: str, out: Path) -> str:
    return CliRunner().invoke(group, ["replay", *words, "-o", str(out)]).stdout


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> str:
    story = Story(until=8000)
    live(story, "web", IP, born=-30)
    path = tmp_path_factory.mktemp("history") / "history.jsonl"
    path.write_text("\n".join(story.lines()) + "\n")
    return str(path)


def nfdump(folder: Path, *seconds: float) -> str:
    """A log of local times: IP asks a peer that the history does not know."""
    rows = ["ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt,opkt,obyt,in,ra"]
    for second in seconds:
        told = stamp(second).replace("T", " ").removesuffix("Z")
        rows.append(f"{told},{told},0,{IP},{PEER},40000,443,TCP,......,1,60,0,0,1,192.0.2.1")
    path = folder / "nfdump.csv"
    path.write_text("\n".join(rows) + "\n")
    return str(path)


def test_several_vnis_ask_for_vni(root: Path, tmp_path: Path) -> None:
    given = (str(root / "samples/crafted/two-vnis.pcap"), "-H", str(root / "samples/crafted/history.jsonl"))
    (hint,) = replay(*given, out=tmp_path / "a")["hints"]
    assert hint == {
        "option": "--vni", "values": ["100", "200"], "count": 4, "of": "ends",
        "text": "4 ends are in several VNIs: 100 (1 flow), 200 (1 flow); "
                "say which are the pod network's, like --vni 100",
    }  # fmt: skip
    assert f"hint         {hint['text']}\n" in text(*given, out=tmp_path / "b")
    assert replay(*given, "--vni", hint["values"][0], out=tmp_path / "c")["hints"] == []


def test_local_times_ask_for_a_timezone(history: str, tmp_path: Path) -> None:
    given = (nfdump(tmp_path, 100, 200), "-H", history)
    (hint,) = replay(*given, out=tmp_path / "a", code=1)["hints"]
    assert (hint["option"], hint["count"], hint["of"]) == ("--timezone", 2, "records")
    assert "2 records have times without a zone" in hint["text"]
    assert replay(*given, "--timezone", hint["values"][0], out=tmp_path / "b")["hints"] == []


def test_times_that_the_history_does_not_cover_ask_for_evidence_of_them(history: str, tmp_path: Path) -> None:
    given = (nfdump(tmp_path, 9000, 9060), "-H", history, "--timezone", "UTC")
    told = replay(*given, out=tmp_path / "a")
    (hint,) = told["hints"]
    assert (hint["option"], hint["count"], hint["of"]) == ("--history", 4, "ends")
    assert hint["values"][0].startswith(stamp(9000)[:19])
    assert hint["values"][1] >= stamp(9060)[:19]
    assert all(value in hint["text"] for value in hint["values"])


def test_names_are_summed_over_addresses_and_what_has_none_shows_its_address(history: str, tmp_path: Path) -> None:
    rows = [
        zeek() | {"ts": float(stamp_us) / 1e6, "id.orig_h": src, "id.resp_h": dst, "uid": f"C{number}"}
        for number, (stamp_us, src, dst) in enumerate(
            [(_us(100), IP, "8.8.8.8"), (_us(101), IP, "8.8.8.8"), (_us(102), IP, "2001:db8::1"),
             (_us(103), "10.244.7.7", IP)]
        )
    ]  # fmt: skip
    path = tmp_path / "conn.log"
    path.write_bytes(b"\n".join(map(line, rows)) + b"\n")
    networks = tmp_path / "networks.toml"
    networks.write_text('[networks]\noffice = ["2001:db8::/32"]\n')
    told = replay(str(path), "-H", history, "--networks", str(networks), out=tmp_path / "a")
    pairs = {(one["src"], one["dst"]): one["conversations"] for one in told["top"]}
    web = next(src for src, _ in pairs if src.endswith("web"))
    assert pairs == {(web, "8.8.8.8 (external)"): 2, (web, "office"): 1, ("10.244.7.7 (none)", web): 1}


def _us(second: float) -> int:
    from support.cluster_story import us

    return us(second)


@pytest.mark.parametrize(
    ("log", "option", "count"),
    [
        ("time,src_ip\n2026-11-20 10:00:00,10.244.1.5\n", "--timezone", 1),
        ("time,src_ip\n2020-01-01T00:00:01Z,10.244.1.5\n2020-01-01T00:00:01Z,10.244.1.5\n", "--history", 2),
    ],
)
def test_annotate_says_what_is_missing(log: str, option: str, count: int, history: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(log)
    result = CliRunner().invoke(group, ["annotate", str(path), "-H", history, "--json"])
    (hint,) = json.loads(result.stderr.splitlines()[-1])["hints"]
    assert (hint["option"], hint["count"]) == (option, count)


WORDS = {name: st.sampled_from(["shop", "web", "", None]) for name in ("namespace", "workload", "service", "node")}
END = st.fixed_dictionaries({"confidence": st.sampled_from([*CONFIDENCES, None]), **WORDS})


@given(st.lists(END, min_size=1, max_size=30))
def test_an_end_has_a_name_or_an_address(ends: list[dict[str, str | None]]) -> None:
    """The quick word on a whole batch is that on each end."""
    columns = {name: pa.array([one[name] for one in ends], pa.string()) for name in summary.NAMED}
    named = {f"src_{name}": column.dictionary_encode() for name, column in columns.items()}
    columns = {name: named[f"src_{name}"] for name in summary.NAMED}
    found = summary._unnamed(columns, {name: summary._places(one) for name, one in columns.items()}).tolist()
    assert found == [summary._name([one[name] for name in summary.NAMED]) is None for one in ends]
