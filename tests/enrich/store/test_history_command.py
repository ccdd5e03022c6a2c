"""`whowas history`, and `who` and `replay` with a store, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard

EVIDENCE = "samples/overlay/history.jsonl.gz"
CAPTURE = "samples/overlay/node1-bridge.pcap"
SUBCOMMANDS = ("info", "gaps", "verify", "compact")


def run(root: Path, *words: str, code: int = 0) -> str:
    """Run; a wrong exit code or a stack trace fails. Returns: what was printed, or said of the error."""
    line = [sys.executable, "-m", "whowas", *words]
    done = subprocess.run(line, cwd=root, capture_output=True, text=True, errors="surrogateescape")
    assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout if code in (0, 1) else done.stderr


def told(root: Path, *words: str, code: int = 0) -> Any:
    return json.loads(run(root, *words, "--json", code=code))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = Path(__file__).resolve().parents[3]
    path = str(tmp_path_factory.mktemp("store") / "cluster.db")
    assert told(root, "history", "import", path, EVIDENCE)["imported"] == [
        {"path": EVIDENCE, "events": 69, "known": False}
    ]
    return path


def test_what_is_in_a_store_is_told_to_people_and_programs(root: Path, store: str) -> None:
    facts = told(root, "history", "info", store)
    assert facts["events"] == 69
    assert facts["sources"] == ["history.jsonl.gz"]
    (cluster,) = facts["clusters"]
    assert cluster["objects"]["Pod"] == 14
    words = run(root, "history", "info", store)
    assert "69 events" in words
    assert "imported   history.jsonl.gz" in words
    assert told(root, "history", "gaps", store) == []
    assert run(root, "history", "gaps", store) == "no gaps\n"
    assert told(root, "history", "verify", store) == {"sound": True, "problems": []}
    assert run(root, "history", "verify", store) == f"{store}: sound\n"
    assert told(root, "history", "import", store, EVIDENCE)["imported"][0]["known"] is True
    assert "was imported before" in run(root, "history", "import", store, EVIDENCE)


def test_out_of_a_store_and_into_another(root: Path, store: str, tmp_path: Path) -> None:
    out, copy, table = (str(tmp_path / name) for name in ("slice.jsonl.zst", "copy", "holds.parquet"))
    lines = told(root, "history", "export", store, out)["lines"]
    assert lines == 70
    assert told(root, "history", "import", copy, out)["imported"][0]["events"] == 69
    rows = told(root, "history", "export", store, table)["holds"]
    assert pq.read_table(table).num_rows == rows > 10
    part = ("--from", "2026-11-21T08:39:40Z", "--to", "2026-11-21T08:39:45Z")
    assert f"wrote {out}" in run(root, "history", "export", store, out, *part, "--existing", "replace")
    for words in ([store], [copy], [out]):
        answers = told(root, "who", "10.244.1.20", "--at", "2026-11-21T08:39:41Z", "--history", *words)
        assert answers["holder"]["name"] == "web-6c9f7d5b8-hq6zt"
        assert answers["confidence"] == "exact"
    assert told(root, "history", "compact", copy)["events"] == 69
    assert "objects packed" in run(root, "history", "compact", copy)
    assert told(root, "history", "prune", copy, "--keep", "100y") == {"forgotten": 0}
    assert "0 objects deleted" in run(root, "history", "prune", copy, "--keep", "100y")


@pytest.mark.parametrize("what", ["10.244.1.20", "batch/report", "deployment/shop/web", "service/shop/api"])
def test_an_answer_is_explained_alike_from_a_store_and_from_files(root: Path, store: str, what: str) -> None:
    both = [told(root, "who", what, "--explain", "--history", path) for path in (store, EVIDENCE)]
    for one in both:
        for line in one["evidence"]:
            line.pop("source")
        for hold in one["answer"]:
            hold.pop("source")
    assert both[0] == both[1]
    assert both[0]["answer"]
    words = run(root, "who", what, "--explain", "--history", store)
    assert "evidence of" in words


def test_a_moment_is_explained(root: Path, store: str) -> None:
    words = run(root, "who", "10.244.1.20", "--at", "2026-11-21T08:39:41Z", "--explain", "--history", store)
    assert "evidence of pod shop/web-6c9f7d5b8-hq6zt" in words
    assert "a container started" in words


def test_a_replay_reads_a_store_or_a_slice(root: Path, store: str, tmp_path: Path) -> None:
    out = str(tmp_path / "slice.zst")
    run(root, "history", "export", store, out)
    answers = [
        told(root, "replay", CAPTURE, "--history", path, "--out", str(tmp_path / f"named{number}"))["answers"]
        for number, path in enumerate((store, out, EVIDENCE))
    ]
    assert answers[0] == answers[1] == answers[2]
    words = run(
        root, "replay", CAPTURE, "--history", store, "--history", EVIDENCE, "--out", str(tmp_path / "x"), code=2
    )
    assert words == (
        f"whowas: cannot use '{EVIDENCE}' beside the store '{store}': a store stands alone; "
        f"add to it with 'whowas history import {store} {EVIDENCE}'\n"
    )


def test_a_folder_with_a_store_in_it_is_that_store(root: Path, store: str) -> None:
    folder = os.path.dirname(store)
    assert os.listdir(folder) != ["cluster.db"]
    assert told(root, "who", "10.244.1.20", "--history", folder)


@pytest.mark.parametrize("words", [[one] for one in SUBCOMMANDS] + [["prune", "--keep", "1d"], ["export", "OUT"]])
def test_what_is_no_store_is_said_in_one_line(root: Path, tmp_path: Path, words: list[str]) -> None:
    words = [words[0], "STORE", *words[1:]]
    for store, why in ((str(tmp_path / "none"), "no such file"), (EVIDENCE, "it is no store; import it with")):
        filled = [{"STORE": store, "OUT": str(tmp_path / "out")}.get(word, word) for word in words]
        said = run(root, "history", *filled, *(["--json"] if store == EVIDENCE else []), code=2)
        assert said.count("\n") == 1
        assert why in said
    assert os.listdir(tmp_path) == []
    assert not os.path.exists(root / f"{EVIDENCE}.lock")


def test_a_mistake_meets_its_cure(root: Path, store: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    for words, why in (
        (("import", str(tmp_path / "new"), "no-such-file"), "cannot read 'no-such-file'"),
        (("import", str(tmp_path / "new"), "-"), "cannot import standard input: it cannot be read twice"),
        (("import", str(tmp_path / "new"), store), "it is a store; make a slice of it with 'whowas history export"),
        (("export", store, out, "--from", "yesterday"), "cannot read the time 'yesterday'"),
        (("export", store, out, "--from", "2000000000", "--to", "1000000000"), "the end comes first; swap them"),
        (("export", store, f"{out}.parquet", "--from", "1000000000"), "a Parquet file gets all of them"),
        (("export", store, str(tmp_path / "no/folder")), "give a file in a folder you can write to"),
        (("export", store, store), "it is the store itself; give another file"),
        (("prune", store, "--keep", "soon"), "cannot keep 'soon': no length of time"),
        (("prune", store, "--keep", "999999y"), "cannot keep '999999y'"),
        (("info", str(tmp_path)), "is a directory"),
    ):
        assert why in run(root, "history", *words, code=2), words
    assert os.listdir(tmp_path) == []
    nobody = run(root, "who", "shop/\udcff", "--history", store, code=2)
    assert "cannot" in nobody


def test_an_export_overwrites_nothing_unasked(root: Path, store: str, tmp_path: Path) -> None:
    for name in ("out.zst", "out.parquet"):
        out = tmp_path / name
        out.write_text("precious")
        said = run(root, "history", "export", store, str(out), code=2)
        assert "it is there already; name another, or say --existing replace" in said
        assert out.read_text() == "precious"
        run(root, "history", "export", store, str(out), "--existing", "replace")
        assert len(out.read_bytes()) > 100
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    assert "it is there already" in run(root, "history", "export", store, str(tmp_path / "broken"), code=2)
    assert "give a file" in run(root, "history", "export", store, "-", code=2)
    assert sorted(os.listdir(tmp_path)) == ["broken", "out.parquet", "out.zst"]


def test_a_broken_slice_is_imported_as_far_as_it_can_be_read(root: Path, store: str, tmp_path: Path) -> None:
    out = tmp_path / "slice.zst"
    run(root, "history", "export", store, str(out))
    packed = out.read_bytes()
    out.write_bytes(packed[:-40])
    assert "the zstd stream is cut short" in run(root, "history", "import", str(tmp_path / "none"), str(out), code=2)
    assert not (tmp_path / "none").exists()
    out.write_bytes(zstandard.ZstdDecompressor().decompressobj().decompress(packed)[:-40])
    report = told(root, "history", "import", str(tmp_path / "copy"), str(out), code=1)
    assert report["files"][0]["unreadable"]
    assert told(root, "history", "verify", str(tmp_path / "copy"))["sound"]


def test_damage_is_an_exit_code(root: Path, store: str, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_bytes(Path(store).read_bytes()[:50_000])
    assert told(root, "history", "verify", str(damaged), code=1)["sound"] is False
    assert "1 problem" in run(root, "history", "verify", str(damaged), code=1)
