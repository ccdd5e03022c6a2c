"""Every shared capture agrees with its oracle, or a documented rule explains why not; and the comparison can fail."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
spec = importlib.util.spec_from_file_location("conformance", ROOT / "bench" / "conformance.py")
assert spec is not None
assert spec.loader is not None
conformance: ModuleType = importlib.util.module_from_spec(spec)
sys.modules["conformance"] = conformance
spec.loader.exec_module(conformance)


def test_all_captures_agree(shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared / "data" / "captures"
    monkeypatch.setattr(sys, "argv", ["conformance.py", str(folder)])
    code = conformance.main()
    told = capsys.readouterr().out
    assert code == 0, told
    files = len(list((folder / "files").iterdir()))
    assert told.splitlines()[-1].endswith(f"0 unexplained; {files} files")


def test_rules_are_documented(shared: Path) -> None:
    """What the comparison explains away stands in docs/conformance.md."""
    text = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    folder = shared / "data" / "captures"
    rules = set()
    for name in ("zeek__vxlan.pcap", "arkime__arkime_synthetic.pcap", "pcapplusplus__solaris.snoop"):
        path = folder / "files" / name
        if path.exists():
            outcome = conformance.compare(folder, path)
            rules |= set(outcome.explained) | set(outcome.names.explained)
    assert rules
    for rule in rules:
        assert f"**{rule}**" in text


@pytest.mark.parametrize(
    ("column", "value"), [("src", "1.2.3.4"), ("dport", "1"), ("vni", "1"), ("ip_len", "9"), ("tcp_flags", "0x0fff")]
)
def test_a_wrong_packet_is_found(column: str, value: str, shared: Path, tmp_path: Path) -> None:
    folder, name = shared / "data" / "captures", "skydive__vxlan-src-port.pcap"
    if not (folder / "files" / name).exists():
        pytest.skip(f"no {name} in this set")
    for kind in ("files", "oracle", "flows"):
        (tmp_path / kind).mkdir()
        suffix = "" if kind == "files" else ".tsv"
        shutil.copy(folder / kind / f"{name}{suffix}", tmp_path / kind)
    table = tmp_path / "oracle" / f"{name}.tsv"
    table.chmod(0o644)
    lines = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()]
    lines[1][lines[0].index(column)] = value
    table.write_text("\n".join("\t".join(line) for line in lines) + "\n", encoding="utf-8")
    outcome = conformance.compare(tmp_path, tmp_path / "files" / name)
    assert [line for line in outcome.wrong if line.startswith("frame 1 ")]
