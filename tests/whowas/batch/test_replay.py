"""`whowas replay` and `who` as a user runs them, on the samples."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import whowas
from whowas.batch.replay import UnreadableWarning
from whowas.errors import InputError, OutputError
from whowas.schema import CONFIDENCES, table_schema

WHOWAS = str(Path(sys.executable).with_name("whowas"))
HISTORY = "samples/overlay/history.jsonl.gz"
CAPTURE = "samples/overlay/node1-bridge.pcap"


def run(root: Path, *words: str, code: int = 0, **more: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([WHOWAS, *words], cwd=root, capture_output=True, text=True, **more)
    assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def test_the_summary_adds_up(root: Path, tmp_path: Path) -> None:
    done = run(root, "replay", CAPTURE, "--history", HISTORY, "--out", str(tmp_path / "out"), "--json")
    told = json.loads(done.stdout)
    assert done.stderr.replace("whowas: compiling kernels, some seconds, only this once\n", "") == ""
    assert told["packets"] == told["traffic"]["packets"] + sum(told["refused"].values()) > 100
    assert told["conversations"] == told["rows"] > 10
    for side in ("src", "dst"):
        counts = told["answers"][f"{side}_confidence"]
        assert list(counts) == list(CONFIDENCES)
        assert sum(counts.values()) == told["rows"]
    assert told["bytes"] == os.path.getsize(root / CAPTURE)
    assert [one["path"] for one in told["files"]] == [CAPTURE]
    assert told["seconds"] > 0
    assert all(os.path.exists(path) for path in told["written"]["files"])


def test_python_and_files_give_the_same_rows(root: Path, tmp_path: Path) -> None:
    table = whowas.replay(root / CAPTURE, root / HISTORY)
    assert table.schema.equals(table_schema())
    dataset = whowas.replay(root / CAPTURE, root / HISTORY, out=tmp_path / "out")
    again = (
        dataset.to_table().select(table_schema().names).sort_by([("start_time", "ascending"), ("flow_id", "ascending")])
    )
    for name in set(table_schema().names) - {"cluster"}:
        assert again[name].to_pylist() == table[name].to_pylist(), name
    assert table.to_pandas().shape == (table.num_rows, len(table_schema()))


def test_the_same_input_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    seen = []
    for name in ("one", "two"):
        run(root, "replay", "samples/overlay", "--history", HISTORY, "--out", str(tmp_path / name), "-q", code=1)
        seen.append(
            {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.parquet")}
        )
    assert seen[0] == seen[1]
    assert seen[0]


def test_standard_input_and_compression_change_nothing(root: Path, tmp_path: Path) -> None:
    plain = (root / CAPTURE).read_bytes()
    squeezed = tmp_path / "misnamed.txt"
    squeezed.write_bytes(gzip.compress(plain))
    columns = [
        "start_time",
        "src_ip",
        "dst_ip",
        "src_port",
        "dst_port",
        "src_pod",
        "dst_pod",
        "bytes_out",
        "packets_in",
    ]
    first = whowas.replay(root / CAPTURE, root / HISTORY).select(columns)
    assert whowas.replay(squeezed, root / HISTORY).select(columns).equals(first)
    done = subprocess.run(
        [WHOWAS, "replay", "-", "--history", HISTORY, "--out", str(tmp_path / "out"), "--json"],
        cwd=root, input=plain, capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["rows"] == first.num_rows


def test_an_out_in_use_is_refused_before_the_first_read(root: Path, tmp_path: Path) -> None:
    words = ("replay", CAPTURE, "--history", HISTORY, "--out", str(tmp_path / "out"))
    run(root, *words, "-q")
    assert "choose a new folder, or say --existing append" in run(root, *words, code=2).stderr
    run(root, *words, "--existing", "replace", "-q")


def test_a_broken_capture_delivers_what_it_holds(root: Path, tmp_path: Path) -> None:
    data = (root / CAPTURE).read_bytes()
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(data[: len(data) // 2])
    nothing = tmp_path / "nothing.pcap"
    nothing.write_text("this is no capture")
    done = run(
        root, "replay", str(cut), str(nothing), "--history", HISTORY, "--out", str(tmp_path / "o"), "--json", code=1
    )
    told = json.loads(done.stdout)
    assert [len(one["unreadable"]) for one in told["files"]] == [1, 1]
    assert told["files"][0]["unreadable"][0]["offset"] > len(data) // 2 - 70_000
    assert told["rows"] > 0
    human = run(root, "replay", str(cut), "--history", HISTORY, "--out", str(tmp_path / "p"), code=1)
    assert "cut.pcap at byte" in human.stderr
    with pytest.warns(UnreadableWarning, match="cut.pcap"):
        whowas.replay(cut, root / HISTORY)


@pytest.mark.parametrize(("words", "text"), [
    (("no.pcap", "--history", HISTORY), "cannot read 'no.pcap': no such file"),
    ((CAPTURE, "--history", "none.json"), "cannot read 'none.json': no such file"),
    ((CAPTURE, "--history", HISTORY, "--vni", "x"), "'x' is no VNI"),
    ((CAPTURE, "--history", HISTORY, "--cluster", "nope"), "nope"),
    ((CAPTURE, "--history", HISTORY, "--networks", "no.toml"), "no.toml"),
])  # fmt: skip
def test_mistakes_meet_their_fix(words: tuple[str, ...], text: str, root: Path, tmp_path: Path) -> None:
    done = run(root, "replay", *words, "--out", str(tmp_path / "out"), code=2)
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path).rglob("*.parquet"))


def test_a_read_only_out_is_refused(root: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        blocked = Path("/proc/whowas-out")
    else:
        blocked = tmp_path / "ro" / "out"
        blocked.parent.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot write"):
        whowas.replay(root / CAPTURE, root / HISTORY, out=blocked)


def test_an_interrupted_run_leaves_nothing_half(root: Path, tmp_path: Path) -> None:
    """SIGINT while standard input is still open: exit 130, no temporary file, no stack trace."""
    out = tmp_path / "out"
    with subprocess.Popen(
        [WHOWAS, "replay", "-", "--history", HISTORY, "--out", str(out)],
        cwd=root, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write((root / CAPTURE).read_bytes()[:5000])
        process.stdin.flush()
        while not (out / ".whowas.lock").exists():
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        words = process.stderr.read().decode()
        assert process.wait(timeout=60) == 130
    assert "Traceback" not in words
    assert [path.name for path in out.rglob("*") if path.is_file()] in ([], [".whowas.lock"])


def test_no_history_that_fits_is_unknown_never_a_guess(root: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    table = whowas.replay(root / CAPTURE, empty)
    assert set(table["src_confidence"].to_pylist()) <= {"unknown", "external"}
    assert table["src_pod"].null_count == table.num_rows


def test_who_at_a_moment_and_over_time(root: Path) -> None:
    table = whowas.replay(root / CAPTURE, root / HISTORY).to_pandas()
    row = table[(table.src_confidence == "exact") & (table.src_kind == "pod")].iloc[0]
    at = row.start_time.isoformat()
    told = json.loads(run(root, "who", row.src_ip, "--at", at, "--history", HISTORY, "--json").stdout)
    assert told["confidence"] == "exact"
    assert row.src_pod in json.dumps(told)
    human = run(root, "who", row.src_ip, "--at", at, "--history", HISTORY).stdout
    for text in (row.src_ip, f"{row.src_namespace}/{row.src_pod}", "exact", "UTC"):
        assert text in human
    over_time = run(root, "who", row.src_ip, "--history", HISTORY).stdout
    assert row.src_pod in over_time
    pod = run(root, "who", f"{row.src_namespace}/{row.src_pod}", "--history", HISTORY).stdout
    assert row.src_ip in pod


@pytest.mark.parametrize(("words", "text"), [
    (("10.244.1.12", "--at", "2026-11-20T10:15:02"), "no zone"),
    (("shop/nothing-like-this",), "shop/nothing-like-this"),
    (("shop/we", "--at", "2026-11-20T10:15:02Z"), "write more of the name"),
    (("10.244.1.999",), "it is no address"),
])  # fmt: skip
def test_who_explains_mistakes(words: tuple[str, ...], text: str, root: Path) -> None:
    done = run(root, "who", *words, "--history", HISTORY, code=2)
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_it_runs_where_nothing_of_its_own_can_be_written(root: Path, tmp_path: Path) -> None:
    """Packages in a read-only folder, no home: kernels compile into the temporary folder, and it says so."""
    rooms = tmp_path / "site"
    for room in ("whowas", "ingest", "enrich", "sinks", "detect"):
        shutil.copytree(root / room, rooms / room, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["chmod", "-R", "a-w", str(rooms)], check=True)
    environment = {
        "PATH": os.environ["PATH"],
        "XDG_CACHE_HOME": "/proc/nowhere",
        "PYTHONPATH": str(rooms),
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "whowas", "replay", str(root / CAPTURE), "--history", str(root / HISTORY),
         "--out", str(tmp_path / "out")],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    subprocess.run(["chmod", "-R", "u+w", str(rooms)], check=True)
    assert done.returncode == 0, done.stderr
    assert "compiling kernels" in done.stderr
    assert any(tmp_path.rglob("*.nbi")), "the kernels were not kept for the next run"


def test_an_unknown_path_in_python(root: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        whowas.replay("none.pcap", root / HISTORY)


def test_help_imports_no_heavy_library(root: Path) -> None:
    """What makes `whowas --help` start at once: nothing of Arrow, numba, numpy or DuckDB is imported."""
    code = """
import sys
from click.testing import CliRunner
from whowas.cli import group
CliRunner().invoke(group, ["--help"])
print([name for name in ("numba", "numpy", "pyarrow", "duckdb", "pandas", "rich") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nor_does_that_of_a_command_or_completion(root: Path) -> None:
    code = """
import sys
from click.testing import CliRunner
from whowas.cli import COMMANDS, group
# What `schema` tells is Arrow's own.
for name in COMMANDS.keys() - {"schema"}:
    assert CliRunner().invoke(group, [name, "--help"]).exit_code == 0, name
    print(*(f"{name}: {one}" for one in ("numba", "numpy", "pyarrow", "duckdb") if one in sys.modules), end="")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_named_tables_are_arrow(root: Path) -> None:
    assert isinstance(whowas.replay(root / CAPTURE, root / HISTORY), pa.Table)


def test_a_second_network_takes_back_what_was_certain(root: Path, tmp_path: Path) -> None:
    """The second VNI lies in a file that is read later; what was named by then was written already."""
    import scapy.layers.l2
    import scapy.layers.vxlan
    import scapy.utils

    packets = scapy.utils.rdpcap(str(root / "samples/crafted/two-vnis.pcap"))
    numbers = [int(one["VXLAN"].vni) for one in packets]
    for name, vni in zip("ab", sorted(set(numbers)), strict=True):
        chosen = [one for one, number in zip(packets, numbers, strict=True) if number == vni]
        scapy.utils.wrpcap(str(tmp_path / f"{name}.pcap"), chosen)
    history = root / "samples/crafted/history.jsonl"
    alone = whowas.replay(tmp_path / "a.pcap", history)
    assert "exact" in alone["src_confidence"].to_pylist()
    both = whowas.replay([tmp_path / "a.pcap", tmp_path / "b.pcap"], history, out=tmp_path / "out").to_table()
    assert set(both["src_confidence"].to_pylist()) == {"ambiguous"}
    assert both.num_rows == 2 * alone.num_rows


def test_pipes_are_read_once(root: Path, tmp_path: Path) -> None:
    """As a shell makes them of <(…): whoever looks into one first has taken what it holds."""
    pipes = {}
    for name, path in (("capture", CAPTURE), ("history", HISTORY)):
        pipes[name] = tmp_path / name
        os.mkfifo(pipes[name])
        subprocess.Popen(["sh", "-c", f"cat {path} > {pipes[name]}"], cwd=root)
    words = [
        "replay",
        str(pipes["capture"]),
        "--history",
        str(pipes["history"]),
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    told = json.loads(run(root, *words, timeout=120).stdout)
    usual = json.loads(run(root, "replay", CAPTURE, "-H", HISTORY, "-o", str(tmp_path / "usual"), "--json").stdout)
    assert told["answers"] == usual["answers"]
    assert told["packets"] == usual["packets"] > 100


def test_who_has_no_history_is_told_where_to_get_one(root: Path, tmp_path: Path) -> None:
    for words in (("replay", CAPTURE, "--out", str(tmp_path / "out")), ("who", "10.244.1.20")):
        done = run(root, *words, code=2)
        assert "cannot name without a history" in done.stderr
        assert "kubectl get" in done.stderr


def test_times_are_told_where_capture_and_history_are_of_different_days(root: Path, tmp_path: Path) -> None:
    """The crafted captures are of the day before the overlay's."""
    words = ("samples/crafted/sctp.pcap", "--history", HISTORY, "--out", str(tmp_path / "out"))
    lines = run(root, "replay", *words).stdout.splitlines()
    told = next(number for number, line in enumerate(lines) if line.startswith("times "))
    assert "flows 2026-11-20 10:15:0" in lines[told]
    assert "history watched 20" in lines[told + 1]
    usual = run(root, "replay", CAPTURE, "--history", HISTORY, "--out", str(tmp_path / "usual")).stdout
    assert "history watched" not in usual


def test_what_the_decoder_remarks_is_told(root: Path, tmp_path: Path) -> None:
    """A capture of tunnels with 60 bytes a packet: they end before the addresses inside."""
    import scapy.utils

    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 60, 1)
    for packet in scapy.utils.rdpcap(str(root / "samples/crafted/two-vnis.pcap")):
        data += struct.pack("<IIII", int(packet.time), 0, 60, len(packet)) + bytes(packet)[:60]
    (tmp_path / "cut.pcap").write_bytes(data)
    words = ("replay", "cut.pcap", "--history", str(root / "samples/crafted/history.jsonl"), "--out", "out")
    told = json.loads(run(tmp_path, *words, "--json", code=1).stdout)
    assert told["noted"] == {"tunnel_payload_cut_short": told["packets"]}
    human = run(tmp_path, *words, "--existing", "replace", code=1).stdout
    assert f"noted        {told['packets']} packets: tunnel ends; the inside was cut off" in human
    with pytest.warns(UnreadableWarning, match="packets could not be read, or in part: tunnel_payload_cut_short"):
        table = whowas.replay(tmp_path / "cut.pcap", root / "samples/crafted/history.jsonl")
    assert set(table["encapsulated"].to_pylist()) == {True}


def test_every_remark_has_words_for_a_reader() -> None:
    from ingest.packets.layout import NOTED
    from whowas.cli.replay_output import REMARKS

    assert set(REMARKS) == {*NOTED.values(), "no_time"}
