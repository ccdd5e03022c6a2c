"""Inputs and histories that are not what they were given as, as a user meets them: a clear word and an exit code."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import whowas.batch.replay
from whowas.errors import InputError
from whowas.history.import_export import import_files
from whowas.history.queries import load_history

HISTORY = "samples/crafted/history.jsonl"
ANEW = ("--existing", "replace-all")
CAPTURE = "samples/crafted/sctp.pcap"
ZEEK = {"ts": 1_700_000_000.0, "uid": "C1", "id.orig_h": "10.0.0.1", "id.orig_p": 1, "id.resp_h": "10.0.0.2",
        "id.resp_p": 80, "proto": "tcp", "conn_state": "SF", "duration": 1.0, "orig_pkts": 1, "resp_pkts": 1,
        "orig_ip_bytes": 60, "resp_ip_bytes": 60}  # fmt: skip


def run(root: Path, *words: str, code: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "whowas", *words], cwd=root, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr
    return done.stderr


def powerless(root: Path, *words: str, code: int) -> str:
    """Run as somebody whom rights bind, root too."""
    drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*drop, sys.executable, "-m", "whowas", *words], cwd=root, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr
    return done.stderr


def wrongs(root: Path, folder: Path) -> dict[str, bytes]:
    """Files that are no history, by the words that must say so."""
    capture = (root / CAPTURE).read_bytes()
    return {
        "nothing in it is evidence (at byte 0": b"# A readme\n\nof many\nlines\n",
        "it is a capture": capture,
        "it is a capture, packed": gzip.compress(capture),
        "it is a Parquet file": b"PAR1" + bytes(40) + b"PAR1",
        "which is no evidence": b'{"type": "flow", "src_ip": "10.0.0.1"}\n' * 3,
        "the gzip stream is cut short": gzip.compress((root / HISTORY).read_bytes())[:200],
    }


def test_a_history_that_is_none_is_refused_by_all(root: Path, tmp_path: Path) -> None:
    """To name by it would be to call everybody unknown, or nobody."""
    for number, (why, data) in enumerate(wrongs(root, tmp_path).items()):
        path = tmp_path / str(number)
        path.write_bytes(data)
        words = why.partition(", packed")[0]
        with pytest.raises(InputError, match="as a history") as refused:
            load_history(path)
        assert words in str(refused.value)
        with pytest.raises(InputError, match="cannot import") as refused:
            import_files(str(tmp_path / "made"), [str(path)])
        assert words in str(refused.value)
        assert not (tmp_path / "made").exists()


def test_commands_refuse_a_history_that_is_none(root: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# A readme\n")
    wrong, out = str(tmp_path / "README.md"), str(tmp_path / "out")
    for words in (("replay", CAPTURE, "--out", out), ("who", "10.0.0.1"), ("annotate", "samples/annotate/eve.json")):
        assert "README.md' as a history: nothing in it is evidence" in run(root, *words, "-H", wrong, code=2)
    assert not list(tmp_path.rglob("*.parquet"))


def test_an_empty_history_is_said_to_be_empty(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for path in (str(tmp_path / "empty"), os.devnull):
        assert "there is no evidence in it" in run(root, "who", "10.0.0.1", "-H", path, code=1)
    (tmp_path / "list").write_text('{"apiVersion": "v1", "kind": "List", "items": []}')
    assert not run(root, "who", "10.0.0.1", "-H", str(tmp_path / "list"), code=0)


def test_a_wrong_file_beside_a_good_one_is_listed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# A readme\n")
    said = run(root, "who", "10.0.0.1", "-H", HISTORY, "-H", str(tmp_path / "README.md"), code=1)
    assert "README.md at byte 0" in said


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="a file that exists and cannot be read: Linux")
def test_a_file_that_cannot_be_read_is_no_stack_trace(root: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    for words in (("replay", CAPTURE, "--out", out), ("who", "10.0.0.1"), ("annotate", "samples/annotate/eve.json")):
        assert "cannot read '/proc/self/mem'" in run(root, *words, "-H", "/proc/self/mem", code=2)
    said = run(root, "replay", "/proc/self/mem", "-H", HISTORY, "--out", out, code=1)
    assert "/proc/self/mem" in said
    assert "/proc/self/mem" in run(root, "annotate", "/proc/self/mem", "-H", HISTORY, code=2)


def test_a_forced_format_that_fits_nothing_says_so(root: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = ("replay", str(log), "-H", HISTORY, "--out", str(tmp_path / "o"), *ANEW, "--format-in")
    for form, line in (("aws", "2026-11-20T10:00:00Z what this is nobody knows"), ("suricata", json.dumps(ZEEK))):
        log.write_text(f"{line}\n" * 3)
        assert f"not one of its records is of the format '{form}'" in run(root, *words, form, code=1)
    log.write_text(
        '{"event_type":"alert","flow_id":7,"proto":"TCP","dest_ip":"10.0.0.2","src_ip":"10.0.0.1","timestamp":"2026-11-20T10:00:00.000000+0000"}\n'
    )
    assert run(root, *words, "suricata", code=0) == ""
    log.write_text(json.dumps(ZEEK) + "\n")
    assert run(root, *words, "zeek-json", code=0) == ""


def test_one_refused_record_is_an_exit_code(root: Path, tmp_path: Path) -> None:
    log, aside = tmp_path / "log", tmp_path / "aside"
    log.write_text(json.dumps(ZEEK) + "\n" + json.dumps(ZEEK | {"id.resp_h": "nobody"}) + "\n")
    words = ("replay", str(log), "-H", HISTORY, "--out", str(tmp_path / "o"), *ANEW)
    run(root, *words, "--dead-letter", str(aside), code=1)
    assert json.loads(aside.read_text())["number"] == 2


def test_unknown_json_is_not_called_cluster_history(root: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.json"
    for text, history in (
        ('{"from": {"address": "10.0.0.1"}, "kind": 3}', False),
        ('[{"a": 1}]', False),
        ('\n {"apiVersion": "v1", "items": []}', True),
        ('{"type":"ADDED","object":{}}', True),
    ):
        one.write_text(text)
        with pytest.warns(whowas.batch.replay.UnreadableWarning) as told:
            whowas.replay(one, root / HISTORY)
        said = " ".join(str(each.message) for each in told)
        assert ("cluster history goes to --history" in said) is history
        assert ("no flow log that is known" in said) is not history


def test_dead_letters_make_a_file_when_there_is_one(root: Path, tmp_path: Path) -> None:
    log, aside = tmp_path / "log", tmp_path / "aside"
    log.write_text(json.dumps(ZEEK) + "\n")
    words = ("replay", str(log), "-H", HISTORY, "--out", str(tmp_path / "o"), *ANEW, "--dead-letter")
    run(root, *words, str(aside), code=0)
    run(root, *words, os.devnull, code=0)
    assert sorted(os.listdir(tmp_path)) == ["log", "o"]
    for place, why in ((tmp_path / "no" / "aside", "No such file"), (log, "it is there already"), (tmp_path, "direct")):
        assert why in run(root, *words, str(place), code=2)
    assert sorted(os.listdir(tmp_path)) == ["log", "o"]


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv takes root's rights away")
def test_what_rights_forbid_is_said_in_one_line(root: Path, tmp_path: Path) -> None:
    locked, out = tmp_path / "evidence" / "locked", str(tmp_path / "out")
    locked.mkdir(parents=True)
    shutil.copy(root / HISTORY, tmp_path / "evidence" / "history.jsonl")
    (tmp_path / "secret").write_bytes((root / CAPTURE).read_bytes())
    for path in (locked, tmp_path / "secret"):
        path.chmod(0)
    asked = ("who", "10.0.0.1", "-H")
    for words, what in (
        ((*asked, str(tmp_path / "evidence")), locked),
        ((*asked, str(locked)), locked),
        ((*asked, str(tmp_path / "secret")), tmp_path / "secret"),
        (("replay", CAPTURE, "-H", HISTORY, "--out", str(locked / "out")), locked / "out"),
        (("replay", CAPTURE, "-H", HISTORY, "--out", out, "--dead-letter", str(locked / "x")), locked / "x"),
        (("history", "import", str(tmp_path / "store"), str(tmp_path / "secret")), tmp_path / "secret"),
    ):
        said = powerless(root, *words, code=2)
        assert f"'{what}': Permission denied" in said
        assert said.count("\n") == 1
    powerless(root, "replay", str(tmp_path / "secret"), "-H", HISTORY, "--out", out, "-q", code=1)
    assert not (tmp_path / "store").exists()
    locked.chmod(0o700)


def test_an_error_that_nobody_expected_of_a_file_is_no_stack_trace(root: Path) -> None:
    code = "import whowas.cli as cli; cli.group = lambda **_: open('/nowhere/at/all'); cli.main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "whowas: cannot use '/nowhere/at/all': No such file or directory; --debug shows where\n"


def test_a_capture_is_not_annotated(root: Path) -> None:
    assert "captures are read by 'whowas replay'" in run(root, "annotate", CAPTURE, "-H", HISTORY, code=2)
