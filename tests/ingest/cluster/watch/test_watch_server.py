"""A watch of a real kube-apiserver: what it says is what happened, whatever happens to the server."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.cluster.watching import PODS, QUICK, bind, churn, settle, standing, watched, written_down
from support.servers import pods
from support.servers.certificates import Authority
from support.servers.control_plane import ControlPlane, wait_until
from support.servers.dumb_watcher import dumb_watcher, settled

from ingest.cluster.watch.api_client import connect
from ingest.cluster.watch.rbac import missing_rights
from whowas.errors import ConfigError

REPLICASETS = "/apis/apps/v1/namespaces/default/replicasets"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


def replicaset(name: str) -> dict[str, object]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "c:1"}]}}
    return {
        "metadata": {"name": name, "annotations": {"secret": "no", "cni.projectcalico.org/podIP": "10.0.0.3"}},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def forget(cluster: ControlPlane) -> None:
    """Compact, and start an apiserver that remembers nothing; killed, since asked to end it waits for its watchers."""
    cluster.compact()
    cluster.restart_apiserver(kill=True)


def test_what_is_there_and_what_happens(control_plane: ControlPlane) -> None:
    api = control_plane.api()
    first = pods.run(api, pods.small("first"), "10.0.0.1")
    api.create(REPLICASETS, replicaset("web"))
    api.create("/api/v1/nodes", pods.node("n1", "192.0.2.1"))
    with watched(control_plane.kubeconfig()) as told:
        wait_until(lambda: told.all_in("watching"))
        assert told.names("Pod", "LISTED") == ["first"]
        second = pods.run(api, pods.small("second"), "10.0.0.2")
        api.delete(f"{PODS}/first", grace_seconds=0)
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
        api.create(LEASES, {"metadata": {"name": "n1"}, "spec": {"renewTime": now}})
        wait_until(lambda: told.names("Pod", "DELETED") and told.of("Lease"))
        wait_until(lambda: told.of("Pod", "BOOKMARK"))
    verbs = [one.verb for one in told.of("Pod")]
    assert verbs[:4] == ["LISTED", "RELISTED", "ADDED", "MODIFIED"]
    assert verbs[-2:] == ["DELETED", "BOOKMARK"] or "BOOKMARK" in verbs
    assert [one.object.metadata.uid for one in told.of("Pod", "ADDED") if one.object.metadata] == [second]
    gone = told.of("Pod", "DELETED")[0].object
    assert (gone.kind, gone.metadata and gone.metadata.uid) == ("Pod", first)
    assert gone.status is not None
    assert gone.status.podIP == "10.0.0.1"
    owner = told.of("ReplicaSet", "LISTED")[0].object
    assert (owner.kind, owner.spec, owner.metadata and owner.metadata.name) == ("ReplicaSet", None, "web")
    assert owner.metadata is not None
    assert owner.metadata.annotations == {"cni.projectcalico.org/podIP": "10.0.0.3"}
    clock = told.of("Lease")[0].object
    assert (clock.kind, clock.metadata and clock.metadata.name, clock.spec and clock.spec.renewTime) == (
        "Node",
        "n1",
        now,
    )
    assert told.watch.states["Pod"].objects == 1
    assert not any(one.gaps for one in told.watch.states.values())
    # Another run goes on where this one ended.
    resume = told.resume()
    api.delete(f"{PODS}/second", grace_seconds=0)
    with watched(control_plane.kubeconfig(), resume) as told:
        wait_until(lambda: told.names("Pod", "DELETED"))
        assert [one.verb for one in told.of("Pod")] in (["MODIFIED", "DELETED"], ["DELETED"])
        assert not any(one.gaps for one in told.watch.states.values())
    api.delete(f"{LEASES}/n1")


def test_a_kind_where_nothing_happens_is_no_error(control_plane: ControlPlane) -> None:
    options = replace(QUICK, watch_seconds=(240, 480), silence_seconds=1.0)
    with watched(control_plane.kubeconfig(), options=options) as told:
        jobs = told.watch.states["Job"]
        wait_until(lambda: jobs.restarts >= 2)
        assert (jobs.last_error, jobs.gaps) == ("", 0)
        assert jobs.last_received_us is not None
        assert time.time() - jobs.last_received_us / 1e6 < 3


def test_history_that_was_forgotten_is_a_gap_and_a_list(control_plane: ControlPlane) -> None:
    api = control_plane.api()
    with watched(control_plane.kubeconfig()) as told:
        wait_until(lambda: told.all_in("watching"))
    resume = told.resume()
    pods.run(api, pods.small("unseen"), "10.0.0.4")
    forget(control_plane)
    with watched(control_plane.kubeconfig(), resume) as told:
        wait_until(lambda: told.of("Pod", "RELISTED"))
        settle(control_plane, told)
        gap, *listed = told.of("Pod", "GAP", "LISTED")
        assert gap.span == (resume["Pod"][1], listed[0].received_us)
        assert "unseen" in told.names("Pod", "LISTED")
        assert told.standing() == standing(control_plane)
    api.delete(f"{PODS}/unseen", grace_seconds=0)


def test_a_list_whose_token_expires_starts_again(control_plane: ControlPlane) -> None:
    api = control_plane.api()
    for number in range(5):
        api.create(PODS, pods.small(f"paged-{number}"))
    with watched(control_plane.kubeconfig(), options=replace(QUICK, page_size=3), held=True) as told:
        pod = told.watch.states["Pod"]
        wait_until(lambda: pod.events["LISTED"] == 3)
        first = standing(control_plane)
        api.delete(f"{PODS}/paged-0", grace_seconds=0)
        forget(control_plane)
        told.gate.set()
        wait_until(lambda: told.all_in("watching"))
        settle(control_plane, told)
        assert pod.gaps == 1
        assert [one.verb for one in told.of("Pod")][:5] == ["LISTED"] * 3 + ["GAP", "LISTED"]
        assert told.standing() == standing(control_plane)
        assert len(first - told.standing()) == 1
    for number in range(1, 5):
        api.delete(f"{PODS}/paged-{number}", grace_seconds=0)


@pytest.mark.long
def test_nothing_is_lost_or_doubled_while_connections_break(servers_built: None, tmp_path: Path) -> None:
    """Watches end every second or two, and for some seconds the server does not answer at all."""
    options = replace(QUICK, watch_seconds=(1, 2), silence_seconds=2.5)
    with (
        ControlPlane() as cluster,
        dumb_watcher(cluster.kubeconfig(), tmp_path / "dumb.jsonl") as dumb,
        watched(cluster.kubeconfig(), options=options) as told,
    ):
        wait_until(lambda: told.all_in("watching"))
        with churn(cluster.api(), "churn") as writes:
            time.sleep(3)
            cluster.apiserver.pause()
            time.sleep(4)
            cluster.apiserver.go_on()
            time.sleep(2)
        settle(cluster, told)
        settled(cluster.api(), dumb)
        ours, theirs = told.events(), written_down(dumb)
        last = max(int(version) for _, _, version in ours)
        assert ours == {one: 1 for one in theirs if int(one[2]) <= last}
        assert len(writes) > 100
        assert not told.missing(writes)
        assert told.standing() == standing(cluster)
        pod = told.watch.states["Pod"]
        assert pod.gaps == 0
        assert pod.restarts >= 3


@pytest.mark.long
def test_a_server_killed_and_started_leaves_gaps_or_nothing(servers_built: None) -> None:
    """A new apiserver has forgotten what its predecessor saw: what it cannot tell falls into a gap, and is listed."""
    with ControlPlane(durable=True) as cluster, watched(cluster.kubeconfig()) as told:
        wait_until(lambda: told.all_in("watching"))
        with churn(cluster.api(), "churn") as writes:
            for _ in range(2):
                time.sleep(1)
                cluster.apiserver.kill()
                time.sleep(0.3)
                cluster.apiserver.start()
            time.sleep(1)
        settle(cluster, told)
        assert len(writes) > 100
        assert not told.missing(writes)
        assert max(told.events().values()) == 1
        assert told.standing() == standing(cluster)
        for one in told.of("Pod", "GAP"):
            assert one.span is not None
            assert one.span[1] - one.span[0] < 10_000_000


def test_rights_missing_then_granted_then_taken_for_a_while(control_plane: ControlPlane) -> None:
    api, kubeconfig = control_plane.api(), control_plane.kubeconfig("recorder")
    bind(control_plane, "recorder", "pods", "leases")
    connection = connect(str(kubeconfig), None)
    wait_until(lambda: len(missing_rights(connection)) == 6)
    assert missing_rights(connection)[:3] == ["get pods", "list pods", "watch pods"]
    assert missing_rights(connection)[5].startswith("watch leases.coordination.k8s.io in namespace kube-node-lease")
    with watched(kubeconfig) as told:
        pod = told.watch.states["Pod"]
        wait_until(lambda: pod.state == "forbidden")
        assert "403" in pod.last_error
        assert 'User "recorder" cannot list resource "pods"' in pod.last_error
        wait_until(lambda: told.watch.states["Node"].state == "watching")
        bind(control_plane, "recorder")
        wait_until(lambda: told.all_in("watching"))
        assert missing_rights(connection) == []
        bind(control_plane, "recorder", "pods")
        wait_until(lambda: pod.state == "forbidden")
        api.create(PODS, pods.small("meanwhile"))
        bind(control_plane, "recorder")
        wait_until(lambda: "meanwhile" in told.names("Pod", "ADDED"))
        assert not any(one.gaps for one in told.watch.states.values())
    api.delete(f"{PODS}/meanwhile", grace_seconds=0)


def test_a_token_that_is_rotated_in_its_file(control_plane: ControlPlane, tmp_path: Path) -> None:
    bind(control_plane, "recorder")
    token = tmp_path / "token"
    token.write_text(control_plane.tokens["recorder"] + "\n")
    with watched(control_plane.kubeconfig("recorder", token_file=token)) as told:
        wait_until(lambda: told.all_in("watching"))
        new = control_plane.rotate("recorder")
        control_plane.restart_apiserver(kill=True)
        wait_until(lambda: "401" in told.watch.states["Pod"].last_error)
        token.write_text(new + "\n")
        wait_until(lambda: told.all_in("watching"), 90)  # each kind waits by itself, longer each time it was refused
        settle(control_plane, told)
        assert told.standing() == standing(control_plane)


def test_certificates_and_credentials_that_are_no_good(control_plane: ControlPlane, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").certificate
    with pytest.raises(ConfigError, match=r"its certificate is not to be trusted.*check certificate-authority"):
        connect(str(control_plane.kubeconfig(authority=other)), None)
    with pytest.raises(ConfigError, match="answered 401: Unauthorized; the credentials are wrong or have expired"):
        connect(str(control_plane.kubeconfig(token="wrong")), None)
    expired = control_plane.certificate("late", ["system:masters"], days=0)
    with pytest.raises(ConfigError, match="cannot connect to"):
        connect(str(control_plane.kubeconfig(certificate=expired)), None)
    good = control_plane.certificate("early", ["system:masters"])
    assert missing_rights(connect(str(control_plane.kubeconfig(certificate=good)), None)) == []


def test_a_server_whose_certificate_turns_bad_and_good_again(control_plane: ControlPlane, tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    good = control_plane.authority.certificate.read_bytes()
    authority.write_bytes(good)
    with watched(control_plane.kubeconfig(authority=authority)) as told:
        wait_until(lambda: told.all_in("watching"))
        authority.write_bytes(Authority(tmp_path / "other").certificate.read_bytes())
        control_plane.restart_apiserver(kill=True)
        wait_until(lambda: "not to be trusted" in told.watch.states["Pod"].last_error)
        authority.write_bytes(good)
        wait_until(lambda: told.all_in("watching"))
        settle(control_plane, told)
        assert told.standing() == standing(control_plane)


@pytest.mark.long
def test_a_store_that_was_restored(servers_built: None) -> None:
    with ControlPlane() as cluster:
        api = cluster.api()
        pods.run(api, pods.small("before"), "10.0.0.1")
        saved = cluster.snapshot()
        with watched(cluster.kubeconfig()) as told:
            wait_until(lambda: told.all_in("watching"))
            for number in range(30):
                pods.run(api, pods.small(f"after-{number}"), f"10.0.1.{number}")
            wait_until(lambda: "after-29" in told.names("Pod", "MODIFIED"))
            old = int(told.watch.states["Pod"].version or 0)
            cluster.restore(saved)
            wait_until(lambda: told.of("Pod", "GAP"))
            settle(cluster, told)
            assert "restored" in told.watch.states["Pod"].last_error
            assert int(told.watch.states["Pod"].version or 0) < old
            assert told.standing() == standing(cluster)


@pytest.mark.long
def test_ten_thousand_pods_in_pages(servers_built: None) -> None:
    with ControlPlane() as cluster:
        api = cluster.api()
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: api.write("POST", PODS, pods.small(f"many-{number}")), range(10_000)))
        with watched(cluster.kubeconfig()) as told:
            wait_until(lambda: told.of("Pod", "RELISTED"), 30)
            assert len(told.of("Pod", "LISTED")) == told.watch.states["Pod"].objects == 10_000
            assert told.standing() == standing(cluster)
