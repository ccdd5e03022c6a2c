"""The control plane that other tests stand on: it answers as a real one does, because it is one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.servers import pods
from support.servers.api import Api, ApiError, from_kubeconfig
from support.servers.control_plane import ControlPlane, wait_until
from support.servers.dumb_watcher import dumb_watcher, settled

pytestmark = pytest.mark.long

PODS = "/api/v1/namespaces/default/pods"
ALL_PODS = "/api/v1/pods"


def version(thing: dict[str, Any]) -> int:
    return int(thing["metadata"]["resourceVersion"])


def status(api: Api, path: str = "/api/v1/namespaces") -> int:
    return api.request("GET", path).status


def test_it_is_the_version_that_is_pinned(control_plane: ControlPlane) -> None:
    assert control_plane.api().get("/version")["gitVersion"] == "v1.36.3"


def test_a_user_without_rights_is_refused(control_plane: ControlPlane) -> None:
    nobody = control_plane.api("nobody")
    with pytest.raises(ApiError, match='User "nobody" cannot list resource "pods"') as refused:
        nobody.list(ALL_PODS)
    assert refused.value.status == 403
    with pytest.raises(ApiError, match="cannot watch"):
        list(nobody.watch(ALL_PODS))
    nobody.token = "unknown"
    assert status(nobody) == 401


def test_a_watch_tells_all_in_order_and_ends_with_a_bookmark(control_plane: ControlPlane) -> None:
    api = control_plane.api()
    _, start = api.list(ALL_PODS)
    query = {"resourceVersion": start, "allowWatchBookmarks": "true", "timeoutSeconds": 4}
    watch = api.events(ALL_PODS, **query)
    uid = pods.run(api, pods.small("watched"), "10.0.0.1")
    events = [next(watch)[1]]
    api.delete(f"{PODS}/watched", grace_seconds=0)
    events += [event for _, event in watch]
    mine = [one["type"] for one in events if one["object"]["metadata"].get("uid") == uid]
    assert mine == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    assert events[-1]["type"] == "BOOKMARK"
    versions = [version(one["object"]) for one in events]
    assert versions == sorted(versions)
    assert versions[0] > int(start)


def test_a_forced_deletion_is_told_twice_while_the_pod_still_runs(control_plane: ControlPlane) -> None:
    api = control_plane.api()
    pods.run(api, pods.small("forced"), "10.0.0.2")
    start = api.list(ALL_PODS)[1]
    api.delete(f"{PODS}/forced", grace_seconds=0)
    (first, marked), (second, gone) = api.events(ALL_PODS, resourceVersion=start, timeoutSeconds=2)
    assert marked["type"] == "MODIFIED"
    assert marked["object"]["metadata"]["deletionGracePeriodSeconds"] == 0
    assert gone["type"] == "DELETED"
    assert gone["object"]["status"]["phase"] == "Running"
    assert second - first < 2_000_000


def test_what_was_forgotten_is_410_in_both_its_forms(control_plane: ControlPlane) -> None:
    api = control_plane.api()
    for name in ("one", "two"):
        api.create(PODS, pods.small(f"forgotten-{name}"))
    first = api.get(f"{ALL_PODS}?limit=1")["metadata"]
    pods.run(api, pods.small("forgotten-three"), "10.0.0.3")
    control_plane.forget()
    ((_, error),) = api.events(ALL_PODS, resourceVersion=first["resourceVersion"], timeoutSeconds=5)
    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
    with pytest.raises(ApiError) as refused:
        api.get(f"{ALL_PODS}?limit=1&continue={first['continue']}")
    assert (refused.value.status, refused.value.reason) == (410, "Expired")


def test_killed_and_started_again_it_goes_on(control_plane: ControlPlane, tmp_path: Path) -> None:
    api = control_plane.api()
    with dumb_watcher(control_plane.kubeconfig(), tmp_path / "dumb.jsonl") as out:
        before = pods.run(api, pods.small("before"), "10.0.0.4")
        settled(api, out)
        control_plane.apiserver.kill()
        with pytest.raises(OSError):
            api.get("/version")
        control_plane.apiserver.start()
        after = pods.run(api, pods.small("after"), "10.0.0.5")
        settled(api, out)
    events = [json.loads(line) for line in out.read_text().splitlines()]
    seen = [(one["type"], one["object"]["metadata"]["uid"]) for one in events if one["type"] in ("ADDED", "DELETED")]
    gaps = sum(one["type"] == "GAP" for one in events)
    assert gaps <= 1  # whatever was written anywhere while it was down makes versions from before too old
    assert seen.count(("ADDED", before)) == 1 + gaps
    assert seen.count(("ADDED", after)) == 1


def test_without_a_watch_cache_nothing_is_missed_while_it_is_down(servers_built: None, tmp_path: Path) -> None:
    with ControlPlane(flags=["--watch-cache=false"]) as cluster:
        api = cluster.api()
        with dumb_watcher(cluster.kubeconfig(), tmp_path / "dumb.jsonl") as out:
            before = pods.run(api, pods.small("before"), "10.0.0.4")
            cluster.apiserver.kill()
            cluster.apiserver.start()
            api.create("/api/v1/namespaces", {"metadata": {"name": "written"}})
            after = pods.run(api, pods.small("after"), "10.0.0.5")
            settled(api, out)
        events = [json.loads(line) for line in out.read_text().splitlines()]
    assert "GAP" not in {one["type"] for one in events}
    added = [one["object"]["metadata"]["uid"] for one in events if one["type"] == "ADDED"]
    assert [one for one in added if one in (before, after)] == [before, after]


def test_a_server_that_is_paused_keeps_its_connections_silent(control_plane: ControlPlane) -> None:
    api = control_plane.api(timeout_seconds=0.5)
    assert status(api) == 200
    control_plane.apiserver.pause()
    try:
        with pytest.raises(TimeoutError):
            api.get("/version")
    finally:
        control_plane.apiserver.go_on()
    assert status(control_plane.api()) == 200


def test_restored_from_a_snapshot_versions_go_back(control_plane: ControlPlane) -> None:
    api = control_plane.api()
    pods.run(api, pods.small("kept"), "10.0.0.6")
    saved = control_plane.snapshot()
    wait_until(lambda: status(api, "/readyz") == 200)
    api.create(PODS, pods.small("undone"))
    for number in range(100):  # more than a server that starts writes by itself
        late = version(api.patch(f"{PODS}/undone", {"metadata": {"labels": {"number": str(number)}}}))
    control_plane.restore(saved)
    names = {one["metadata"]["name"] for one in api.list(PODS)[0]}
    assert "kept" in names
    assert "undone" not in names
    assert int(api.list(ALL_PODS)[1]) < late


def test_a_token_is_rotated(control_plane: ControlPlane, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(control_plane.tokens["recorder"])
    kubeconfig = control_plane.kubeconfig("recorder", token_file=file)
    old = from_kubeconfig(kubeconfig)
    account, renewed = control_plane.api(), control_plane.api()
    account.token = control_plane.service_account("default", "watcher")
    assert status(old) == status(account) == 403
    renewed.token = control_plane.service_account("default", "watcher")
    file.write_text(control_plane.rotate("recorder"))
    control_plane.restart_apiserver(kill=True)
    assert status(old) == status(account) == 401
    assert status(from_kubeconfig(kubeconfig)) == status(renewed) == 403


def test_certificates_tell_who_somebody_is(control_plane: ControlPlane) -> None:
    authority = str(control_plane.authority.certificate)

    def ask(user: str, *groups: str, days: int = 1) -> int:
        pair = tuple(map(str, control_plane.certificate(user, groups, days)))
        return status(Api(control_plane.url, authority, certificate=(pair[0], pair[1])))

    assert ask("ada", "system:masters") == 200
    assert ask("bob") == 403
    expired = tuple(map(str, control_plane.certificate("eve", ["system:masters"], days=0)))
    wait_until(lambda: status(Api(control_plane.url, authority, certificate=(expired[0], expired[1]))) == 401)


def test_many_pods_are_there_at_once(control_plane: ControlPlane) -> None:
    api = control_plane.api()
    pods.run(api, pods.realistic("model"), "10.0.0.7")
    uids = pods.clone(control_plane, "model", 600)
    cloned = [one for one in api.list(ALL_PODS)[0] if one["metadata"]["name"].startswith("model-")]
    assert {one["status"]["podIP"]: one["metadata"]["uid"] for one in cloned} == uids
    assert 5500 < len(json.dumps(cloned[0], separators=(",", ":"))) < 8000
    assert len({version(one) for one in cloned}) == len(uids)
    filled = pods.fill(api, 40, make=pods.small)
    assert len(filled) == 40


def test_controllers_and_kwok_play_a_deployment(servers_built: None) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": pods.small("x", "worker")["spec"]}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    with ControlPlane(controllers=True, kwok=True, audit="Request") as cluster:
        api = cluster.api()
        api.create("/api/v1/nodes", pods.node("worker", type="kwok"))
        service = {"metadata": {"name": "web"}, "spec": {"selector": labels, "ports": [{"port": 80}]}}
        api.create("/api/v1/namespaces/default/services", service)
        api.create("/apis/apps/v1/namespaces/default/deployments", {"metadata": {"name": "web"}, "spec": spec})

        def running() -> list[Any]:
            found = [one for one in api.list(PODS)[0] if one["status"].get("podIP")]
            return found if len(found) == 2 else []

        for one in wait_until(running, 40):
            assert one["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
        uids = {one["metadata"]["uid"] for one in running()}

        def endpoints() -> bool:
            slices = api.list("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices")[0]
            return uids == {end["targetRef"]["uid"] for one in slices for end in one.get("endpoints") or ()}

        wait_until(endpoints)
        audited = [json.loads(line) for line in cluster.audit_log.read_text().splitlines()]
    statuses = [one["requestObject"]["status"] for one in audited if one["requestURI"].startswith(f"{PODS}/web-")
                and "/status" in one["requestURI"] and one["verb"] == "patch"]  # fmt: skip
    assert len({one["podIP"] for one in statuses if one.get("podIP")}) == 2


def test_it_dies_with_the_process_that_started_it(servers_built: None) -> None:
    program = (
        "import os, signal, sys\n"
        "from support.servers.control_plane import ControlPlane\n"
        "with ControlPlane() as cluster:\n"
        "    print(cluster.etcd.pid, cluster.apiserver.pid, cluster.folder, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    *processes, folder = done.stdout.split()
    wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in processes))
    subprocess.run(["rm", "-rf", folder], check=True)


@pytest.mark.parametrize(("ci", "outcome"), [("true", "1 error"), ("", "1 skipped")])
def test_without_servers_tests_skip_at_home_and_fail_in_ci(ci: str, outcome: str, tmp_path: Path) -> None:
    one = f"{__file__}::test_it_is_the_version_that_is_pinned"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "CI": ci}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", one]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout
    assert outcome in told
    assert "the control plane is not built: run make servers" in told
