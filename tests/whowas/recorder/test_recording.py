"""The recorder on a real apiserver and a real store: what happened is in the store, once, whatever befalls either."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.recorder.witness import PODS, Witness, churn, differences, gaps, standing, stored, wait_for_version
from support.servers import pods
from support.servers.control_plane import ControlPlane, wait_until

from enrich.store.evidence_store import EvidenceStore
from ingest.cluster.watch.cluster_watch import WatchOptions, connect
from whowas.errors import ConfigError, StoreError
from whowas.recorder import Recorder, RecorderOptions, Vitals
from whowas.recorder.writer import Pace

# Watches that end every few seconds, so that their silences are short as well.
QUICK = RecorderOptions(
    silence_seconds=8.0,
    pace=Pace(within_seconds=0.1, retry_seconds=0.1, retry_most_seconds=0.5),
    watch=WatchOptions(
        watch_seconds=(5, 5), connect_seconds=2.0, silence_seconds=10.0, backoff_seconds=(0.1, 0.5), refused_seconds=0.5
    ),
)


@contextlib.contextmanager
def recording(path: Path, kubeconfig: Path, options: RecorderOptions = QUICK) -> Iterator[Recorder]:
    """A recorder that is ready, and is stopped in the end."""
    with Recorder(str(path), [("test", connect(str(kubeconfig), None))], options) as recorder:
        wait_for(recorder, lambda now: not now.unready())
        yield recorder


def wait_for(recorder: Recorder, what: Callable[[Vitals], object], seconds: float = 20) -> Vitals:
    """Return the first vitals of which `what` is true."""
    until = time.monotonic() + seconds
    while True:
        now = recorder.vitals()
        if what(now):
            return now
        assert time.monotonic() < until, now.to_json()
        time.sleep(0.02)


def test_every_change_is_stored_once_and_soon(cluster: ControlPlane, kubeconfig: Path, tmp_path: Path) -> None:
    path, api = tmp_path / "h.db", cluster.api()
    with recording(path, kubeconfig, RecorderOptions()) as recorder, Witness(api) as witness:
        with churn(api):
            wait_until(lambda: len(witness.events) > 100)
        seen = witness.all(api)
        began = time.monotonic()
        wait_for_version(path, seen[-1][2])
        # Within a second where nothing else runs; a busy machine takes longer, and tests must not depend on it.
        assert time.monotonic() - began < 15
        now = recorder.vitals()
        assert now.received.total() == now.written.total() + now.dropped.total() + now.queued
        assert now.dropped.total() == 0
        assert now.objects() >= len(api.list(PODS)[0])
    assert not any(differences(seen, [one for one in stored(path) if one[0] != "LISTED"]).values())


def test_a_restart_goes_on_where_it_ended(cluster: ControlPlane, kubeconfig: Path, tmp_path: Path) -> None:
    path, api = tmp_path / "h.db", cluster.api()
    with recording(path, kubeconfig):
        witness = Witness(api)
    with witness, churn(api):
        for _ in range(3):
            time.sleep(0.5)
            with recording(path, kubeconfig) as recorder:
                time.sleep(0.5)
            assert recorder.vitals().gaps() == 0
            assert recorder.vitals().dropped.total() == 0
        time.sleep(0.3)
    with recording(path, kubeconfig):
        seen = witness.all(api)
        wait_for_version(path, seen[-1][2])
    assert gaps(path) == []
    assert not any(differences(seen, [one for one in stored(path) if one[0] != "LISTED"]).values())


@pytest.mark.long
def test_an_apiserver_that_is_away_turns_ready_red_then_green_and_nothing_is_lost(
    cluster: ControlPlane, kubeconfig: Path, tmp_path: Path
) -> None:
    path, api = tmp_path / "h.db", cluster.api()
    with recording(path, kubeconfig) as recorder, Witness(api) as witness:
        with churn(api):
            time.sleep(1)
            cluster.apiserver.kill()
            red = wait_for(recorder, lambda now: now.unready())
            assert any("silent for" in one and "refused" in one for one in red.unready()), red.unready()
            assert red.unhealthy() == [], "a restart would not help"
            cluster.apiserver.start()
            wait_for(recorder, lambda now: not now.unready())
            time.sleep(0.5)
        seen = witness.all(api)
        wait_for_version(path, seen[-1][2])
        assert standing(path) == {one["metadata"]["uid"] for one in api.list(PODS)[0]}
    # A single apiserver that restarts may have forgotten what it had not said yet: that is a gap, and said.
    if not witness.torn:
        found = differences(seen, [one for one in stored(path) if one[0] not in ("LISTED", "VANISHED")])
        assert found["doubled"] == []
        assert found["lost"] == [] or gaps(path)


def test_unready_until_the_first_lists_are_complete(cluster: ControlPlane, tmp_path: Path) -> None:
    nowhere = cluster.kubeconfig("admin", server="https://127.0.0.1:1")
    connection = connect(str(nowhere), None, probe=False)
    with Recorder(str(tmp_path / "h.db"), [("test", connection)], QUICK) as recorder:
        told = wait_for(recorder, lambda now: all(one.state == "waiting" for one in now.streams))
        assert len(told.unready()) == 9
        assert all("first list is not complete: cannot" in one for one in told.unready())
        assert told.unhealthy() == []


def test_two_clusters_into_one_store(cluster: ControlPlane, kubeconfig: Path, tmp_path: Path) -> None:
    path, api = tmp_path / "h.db", cluster.api()
    with ControlPlane() as other:
        there = connect(str(other.kubeconfig("admin")), None)
        here = connect(str(kubeconfig), None)
        with Recorder(str(path), [("here", here), ("there", there)], QUICK) as recorder:
            wait_for(recorder, lambda now: not now.unready())
            mine = pods.run(api, pods.small("two-clusters"), "10.202.0.1")
            yours = pods.run(other.api(), pods.small("two-clusters"), "10.202.0.1")
            wait_for(recorder, lambda now: now.written["there", "Pod", "MODIFIED"])
            wait_for(recorder, lambda now: now.written["here", "Pod", "MODIFIED"])
    assert mine in {uid for _, uid, _ in stored(path, "here")}
    assert {uid for _, uid, _ in stored(path, "there")} == {yours}
    with pytest.raises(ConfigError, match="two clusters have one name"):
        Recorder(str(path), [("here", here), ("here", there)])


def test_a_locked_store_is_waited_for(cluster: ControlPlane, kubeconfig: Path, tmp_path: Path) -> None:
    path, api = tmp_path / "h.db", cluster.api()
    with recording(path, kubeconfig) as recorder, Witness(api) as witness:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with churn(api):
            red = wait_for(recorder, lambda now: now.unready())
            assert "the store is failing" in red.unready()[0]
            assert "another program holds it locked" in red.unready()[0]
            assert red.store.failures
        holder.execute("ROLLBACK")
        holder.close()
        wait_for(recorder, lambda now: not now.unready())
        seen = witness.all(api)
        wait_for_version(path, seen[-1][2])
        assert recorder.vitals().dropped.total() == 0
    assert not any(differences(seen, [one for one in stored(path) if one[0] != "LISTED"]).values())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no rights to mount a small disk: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill_disk(place: Path) -> Path:
    """Take all the room there is."""
    ballast = place / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as out:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while out.write(bytes(size)):
                    pass
    return ballast


def test_a_full_disk_is_waited_for(cluster: ControlPlane, kubeconfig: Path, small_disk: Path) -> None:
    path, api = small_disk / "h.db", cluster.api()
    few = RecorderOptions(capacity=50, silence_seconds=8.0, pace=QUICK.pace, watch=QUICK.watch)
    with recording(path, kubeconfig, few) as recorder, Witness(api) as witness:
        ballast = fill_disk(small_disk)
        with churn(api, 60):
            red = wait_for(recorder, lambda now: now.store.state == "failing")
            assert "the disk is full" in red.unready()[0]
            assert red.unhealthy() == []
            full = wait_for(recorder, lambda now: now.queued >= 48)
            assert full.queued <= 50, "the watches are made to wait"
        ballast.unlink()
        wait_for(recorder, lambda now: now.store.state == "writing")
        seen = witness.all(api)
        wait_for_version(path, seen[-1][2])
        assert recorder.vitals().dropped.total() == 0
        wait_for(recorder, lambda now: not now.unready())
    assert gaps(path) == []
    assert not any(differences(seen, [one for one in stored(path) if one[0] != "LISTED"]).values())


def test_stopping_on_a_full_disk_takes_no_longer_and_the_next_start_has_it_all(
    cluster: ControlPlane, kubeconfig: Path, small_disk: Path
) -> None:
    path, api = small_disk / "h.db", cluster.api()
    with recording(path, kubeconfig) as recorder, Witness(api) as witness:
        ballast = fill_disk(small_disk)
        with churn(api, 60):
            wait_for(recorder, lambda now: now.store.state == "failing")
        began = time.monotonic()
        assert recorder.stop(5) is False
        assert time.monotonic() - began < 6
        now = recorder.vitals()
        assert now.dropped.total() == now.received.total() - now.written.total() > 0
        ballast.unlink()
        with recording(path, kubeconfig):
            seen = witness.all(api)
            wait_for_version(path, seen[-1][2])
    assert not any(differences(seen, [one for one in stored(path) if one[0] != "LISTED"]).values())


def test_a_damaged_store_ends_the_recording_with_a_reason(
    cluster: ControlPlane, kubeconfig: Path, tmp_path: Path
) -> None:
    path = tmp_path / "h.db"
    with recording(path, kubeconfig):
        pass
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + os.urandom(len(whole) - 100))
    recorder = Recorder(str(path), [("test", connect(str(kubeconfig), None))], QUICK)
    with pytest.raises(StoreError, match="damaged"):
        recorder.start()
    recorder.stop(2)
    path.write_bytes(b"no store at all, but somebody's notes")
    with pytest.raises(StoreError, match="it is no store"):
        Recorder(str(path), [("test", connect(str(kubeconfig), None))], QUICK).start()
    assert path.read_bytes() == b"no store at all, but somebody's notes"


def test_damage_while_it_runs_is_fatal_and_said(cluster: ControlPlane, kubeconfig: Path, tmp_path: Path) -> None:
    path, api = tmp_path / "h.db", cluster.api()
    with recording(path, kubeconfig) as recorder:
        vandal = sqlite3.connect(path, isolation_level=None)
        vandal.execute("DROP TABLE event")
        vandal.close()
        api.create(PODS.replace("pods", "namespaces/default/pods"), pods.small("victim"))
        dead = wait_for(recorder, lambda now: recorder.failure is not None and not now.store.alive)
        assert "nothing is written any more" in dead.unhealthy()[0]
        assert dead.dropped.total() > 0


def test_readers_read_beside(cluster: ControlPlane, kubeconfig: Path, tmp_path: Path) -> None:
    path, api, failures = tmp_path / "h.db", cluster.api(), []
    with recording(path, kubeconfig) as recorder:
        leave = threading.Event()

        def read() -> None:
            while not leave.is_set():
                try:
                    store = EvidenceStore(path)
                    store.cursors("test")
                    store.close()
                    stored(path)
                except Exception as error:  # noqa: BLE001 - all of them are told
                    failures.append(error)
                time.sleep(0.01)  # as often as a reader could want, without taking the whole machine

        readers = [threading.Thread(target=read) for _ in range(3)]
        for one in readers:
            one.start()
        with churn(api):
            time.sleep(1.5)
        leave.set()
        for one in readers:
            one.join()
        assert recorder.vitals().store.failures == 0
    assert failures == []


@pytest.fixture
def whowas() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `whowas watch`; none outlives its test."""
    started: list[subprocess.Popen[str]] = []

    def run(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "whowas", "watch", *words]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for one in started:
        one.kill()
        one.wait()


def test_a_second_recorder_is_refused(
    cluster: ControlPlane, kubeconfig: Path, tmp_path: Path, whowas: Callable[..., subprocess.Popen[str]]
) -> None:
    path = tmp_path / "h.db"
    with recording(path, kubeconfig):
        second = whowas("--history", str(path), "--kubeconfig", str(kubeconfig), "--listen", "none")
        out, err = second.communicate(timeout=20)
    assert second.returncode == 2
    assert f"process {os.getpid()} is writing to it; stop that one" in err
    assert "Traceback" not in err
    assert out == ""


def test_sigterm_ends_it_with_everything_durable(
    cluster: ControlPlane, kubeconfig: Path, tmp_path: Path, whowas: Callable[..., subprocess.Popen[str]]
) -> None:
    path, api = tmp_path / "h.db", cluster.api()
    with churn(api, 60):
        running = whowas("--history", str(path), "--kubeconfig", str(kubeconfig), "--listen", "none", "--json")
        assert running.stdout is not None
        for line in running.stdout:
            if json.loads(line)["ready"]:
                break
        wait_until(lambda: len(stored(path)) > 50)
        began = time.monotonic()
        running.terminate()
        out, err = running.communicate(timeout=15)
        assert time.monotonic() - began < 10
    assert (running.returncode, err) == (0, "")
    last = json.loads(out.splitlines()[-1])
    assert last["line"] == "end"
    assert last["received"] == last["written"] > 0
    assert last["store"]["state"] == "closed"
    assert len(stored(path)) > 50


def test_log_lines_for_people_and_pages_for_probes(
    cluster: ControlPlane, kubeconfig: Path, tmp_path: Path, whowas: Callable[..., subprocess.Popen[str]]
) -> None:
    import urllib.request

    from prometheus_client.parser import text_string_to_metric_families
    from support.servers.process import free_port

    port = free_port()
    running = whowas("-H", str(tmp_path / "h.db"), "--kubeconfig", str(kubeconfig), "--listen", f"127.0.0.1:{port}")

    def get(page: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5) as reply:
            return str(reply.read().decode())

    def ready() -> bool:
        with contextlib.suppress(OSError):
            return get("readyz") == "ok\n"
        return False

    wait_until(ready)
    assert get("healthz") == "ok\n"

    def totals() -> dict[str, float]:
        families = {one.name: one for one in text_string_to_metric_families(get("metrics"))}
        names = ("whowas_received", "whowas_written", "whowas_dropped", "whowas_queue_observations")
        return {name: sum(sample.value for sample in families[name].samples) for name in names}

    with churn(cluster.api()):
        wait_until(lambda: totals()["whowas_received"] > 30)
    settled = wait_until(lambda: 30 < (now := totals())["whowas_received"] == now["whowas_written"] and now)
    assert settled["whowas_dropped"] == settled["whowas_queue_observations"] == 0
    assert "10.201." not in get("metrics"), "no metric carries an address"
    assert "churn-" not in get("metrics"), "nor a pod"
    running.terminate()
    _, err = running.communicate(timeout=15)
    assert running.returncode == 0
    assert "test watching: Pod" in err
    assert "objects" in err
    assert "observations written to" in err
