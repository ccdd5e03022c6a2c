"""The way to a cluster: every mistake meets a line that says what to do, and tokens may change."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from support.cluster.following import QUICK, following, kubeconfig, until
from support.cluster.hostile import Answer, Asked, Hostile, answer, bookmark, chunk, page, status, stream

from ingest.cluster.watch.api_client import connect
from ingest.cluster.watch.rbac import missing_rights
from whowas.errors import ConfigError, MissingExtra


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No kubeconfig and no pod, whatever machine this runs on."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def version(asked: Asked) -> Answer:
    return answer(b'{"gitVersion": "v1.36.3"}')


def test_the_places_are_tried_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"no kubeconfig given, none in \$KUBECONFIG or ~/.kube/config.*give --kub"):
        connect(None, None)
    with Hostile(version) as server:
        path = kubeconfig(tmp_path, server.url)
        default = tmp_path / "home" / ".kube" / "config"
        default.parent.mkdir()
        default.write_bytes(Path(path).read_bytes())
        assert connect(None, None).name == "paris"
        monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none:{path}")
        found = connect(None, "here")
        assert (found.name, found.server, found.version) == ("paris", server.url, "v1.36.3")
        monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none")
        with pytest.raises(ConfigError, match=r"none' of \$KUBECONFIG: no such file"):
            connect(None, None)
    with pytest.raises(ConfigError, match="cannot read kubeconfig '/none': no such file"):
        connect("/none", None)


@pytest.mark.parametrize(
    ("text", "context", "words"),
    [
        ("", None, "empty"),
        ("{", None, "cannot use kubeconfig"),
        ("- a", None, "cannot use kubeconfig"),
        ("contexts: []", None, "it has no current one"),
        ("contexts: [{name: a}, {name: b}]", "c", "no such context; there is a, b"),
        ("contexts: [{name: a, context: {cluster: x}}]\nclusters: []", "a", "its cluster 'x' has no server"),
        ("contexts: [{name: a, context: 5}]", "a", "cannot use"),
    ],
)
def test_what_is_wrong_in_a_kubeconfig_is_said(tmp_path: Path, text: str, context: str | None, words: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        connect(str(path), context)


def test_nobody_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(ConfigError, match="connection refused; check that the server runs"):
        connect(kubeconfig(tmp_path, f"http://127.0.0.1:{port}"), None)


def test_somebody_else_there(tmp_path: Path) -> None:
    with (
        Hostile(lambda asked: answer(b"<html>welcome</html>")) as server,
        pytest.raises(ConfigError, match="what answers is no apiserver"),
    ):
        connect(kubeconfig(tmp_path, server.url), None)


def test_credentials_refused(tmp_path: Path) -> None:
    with (
        Hostile(lambda asked: status(401, "Unauthorized")) as server,
        pytest.raises(ConfigError, match="answered 401: Unauthorized; the credentials are wrong or have expired"),
    ):
        connect(kubeconfig(tmp_path, server.url), None)


def test_a_credential_plugin_that_fails(tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}
    with pytest.raises(ConfigError, match="cannot log in with 'false': it gave no credentials"):
        connect(kubeconfig(tmp_path, "http://127.0.0.1:1", exec=plugin), None)


def test_the_client_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(MissingExtra, match=r"pip install -e '\S+\[watch\]'"):
        connect(None, None)


def test_a_token_that_changes_in_its_file_is_read_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")

    def script(asked: Asked) -> Answer:
        if asked.headers["authorization"] != "Bearer new":
            token.write_text("new\n")
            return status(401, "Unauthorized")
        return page("a", 7) if asked.sort != "watch" else [*stream(), chunk(bookmark(99)), 9.0]

    with Hostile(script) as server:
        connection = connect(kubeconfig(tmp_path, server.url, tokenFile=str(token)), None, probe=False)
        with following(connection) as told:
            until(lambda: "BOOKMARK 99" in told.words())
            assert told.words() == ["LISTED a", "RELISTED 7", "BOOKMARK 99"]
            assert len(server.of("list")) == 2
            assert server.of("list")[1].at - server.of("list")[0].at < QUICK.refused_seconds


def test_a_kubeconfig_that_is_gone_for_a_while_is_waited_for(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        return page("a", 7) if asked.sort != "watch" else [*stream(), chunk(bookmark(99)), 9.0]

    with Hostile(script) as server:
        path = Path(kubeconfig(tmp_path, server.url))
        connection = connect(str(path), None, probe=False)
        text = path.read_text()
        path.write_text("")
        with following(connection) as told:
            until(lambda: "cannot use kubeconfig" in told.stream.state.last_error)
            path.write_text(text)
            until(lambda: "BOOKMARK 99" in told.words())


def test_rights_are_asked_for_one_by_one(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        return answer(b'{"kind": "SelfSubjectAccessReview", "status": {"allowed": false}}', "201 Created")

    with Hostile(script) as server:
        connection = connect(kubeconfig(tmp_path, server.url), None, probe=False)
        found = missing_rights(connection)
    assert len(found) == 39
    assert "watch replicasets.apps" in found
    assert "list leases.coordination.k8s.io in namespace kube-node-lease (optional)" in found
