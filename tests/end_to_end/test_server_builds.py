"""The builder: it trusts nothing whose checksum is not the pinned one."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from support.needs import need
from support.servers import build, build_kafka


def test_a_module_has_the_checksum_that_go_gives_it() -> None:
    go = build.machine_go()
    need(go, "no Go on this machine")
    cache = Path(subprocess.run([str(go), "env", "GOMODCACHE"], capture_output=True, text=True).stdout.strip())
    zips = sorted((cache / "cache" / "download").rglob("*.zip"), key=lambda path: path.stat().st_size)[:20]
    need(zips, "Go has downloaded no module yet")
    for path in zips:
        assert f"h1:{build.module_sum(path)}" == path.with_suffix(".ziphash").read_text().strip()


def test_a_go_that_is_not_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need(shutil.which("go"), "no Go on this machine")
    proxy = tmp_path / "proxy" / "golang.org" / "toolchain" / "@v"
    proxy.mkdir(parents=True)
    name = f"v0.0.1-{build.TOOLCHAIN}.linux-{build.machine()}"
    with zipfile.ZipFile(proxy / f"{name}.zip", "w") as archive:
        archive.writestr(f"golang.org/toolchain@{name}/bin/go", "#!/bin/sh\n")
    monkeypatch.setenv("GOPROXY", (tmp_path / "proxy").as_uri())
    with pytest.raises(build.BuildError, match="its checksum is not the pinned one"):
        build.fetch_toolchain(tmp_path / build.TOOLCHAIN)
    assert [one.name for one in tmp_path.iterdir()] == ["proxy"]


def test_without_a_proxy_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need(shutil.which("go"), "no Go on this machine")
    monkeypatch.setenv("GOPROXY", "off")
    with pytest.raises(build.BuildError, match=r"'go env GOPROXY' names no proxy \(off\); install Go"):
        build.fetch_toolchain(tmp_path / build.TOOLCHAIN)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build.BuildError, match="no 'go' on this machine says from where; install Go"):
        build.fetch_toolchain(tmp_path / build.TOOLCHAIN)


def test_jars_that_are_not_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(build.BuildError, match=r"not the pinned ones: .*kafka-server-4.1.0.jar"):
        build_kafka.verify(tmp_path)
    found = build_kafka.built()
    need(found, "Kafka is not fetched (make servers)")
    assert found is not None
    build_kafka.verify(found)
    for path in found.glob("*.jar"):
        (tmp_path / path.name).symlink_to(path)
    build_kafka.verify(tmp_path)
    (tmp_path / "another.jar").write_bytes(b"")
    with pytest.raises(build.BuildError, match=r"not the pinned ones: another\.jar"):
        build_kafka.verify(tmp_path)
