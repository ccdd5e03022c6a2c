"""A real Kubernetes control plane on 127.0.0.1, with ports and data of its own, gone when the test is.

    with ControlPlane() as cluster:
        cluster.api().create("/api/v1/namespaces/default/pods", pods.small("a", node="n1"))
        cluster.apiserver.kill()
        cluster.apiserver.start()

Build the servers first: `make servers`.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from support.servers.api import Api, ApiError
from support.servers.build import built
from support.servers.certificates import Authority, signing_key
from support.servers.flags import apiserver_flags, audit_flags, controller_flags, etcd_flags, kwok_flags
from support.servers.process import Server, free_port

# name -> groups. Who may do what beyond that is a matter of RBAC, as in any cluster.
USERS: dict[str, tuple[str, ...]] = {"admin": ("system:masters",), "recorder": (), "nobody": ()}
# Of the keys that come after a start, what kube-apiserver makes for itself.
LASTING = ("/kube-system", "/kube-public", "/masterleases/", "/apiregistration", "/default/kubernetes", "/ipaddresses/")
SERVICE_ACCOUNT = "/api/v1/namespaces/{}/serviceaccounts"


@dataclass(frozen=True)
class Options:
    """What a control plane is made of.

    Args: controllers: kube-controller-manager too (real owners, EndpointSlices, garbage collection).
    kwok: a kwok that plays the nodes labelled type=kwok. audit: level of an audit log of everything ("Request",
    "RequestResponse"), or a whole policy. flags: more flags of kube-apiserver. durable: etcd syncs to disk, which
    tests that kill it need.
    """

    controllers: bool = False
    kwok: bool = False
    audit: str | dict[str, Any] | None = None
    flags: Sequence[str] = ()
    durable: bool = False
    users: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(USERS))


class ControlPlane:
    """etcd and kube-apiserver, on request kube-controller-manager and kwok. Use it as a context manager."""

    def __init__(self, options: Options | None = None, **chosen: Any) -> None:
        self.options = options or Options(**chosen)
        binaries = built()
        assert binaries is not None, "the servers are not built: run make servers"
        self.binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="whowas-servers-"))
        self.tokens = {name: secrets.token_hex(16) for name in self.options.users}
        self.audit_log = self.folder / "audit.log"
        port = free_port()
        self.url = f"https://127.0.0.1:{port}"
        self._etcd_port = free_port()
        self.authority = Authority(self.folder / "certificates")
        self._write_files()
        folder, admin = self.folder, self.kubeconfig()
        serving = self.authority.issue(
            "kube-apiserver", alternative="IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc"
        )
        flags = [
            *apiserver_flags(folder, port, self._etcd_port, serving, self.authority.certificate),
            *(audit_flags(folder, self.audit_log) if self.options.audit is not None else ()),
            *self.options.flags,
        ]
        self.etcd = self._server("etcd", etcd_flags(folder, self._etcd_port, self.options.durable), self._etcd_ready)
        self.apiserver = self._server("kube-apiserver", flags, self._apiserver_ready)
        self.controllers = self._server("kube-controller-manager", controller_flags(folder, admin), lambda: True)
        self.kwok = self._server("kwok", kwok_flags(admin, binaries / "stages.yaml"), lambda: True)

    def __enter__(self) -> ControlPlane:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Start all that was asked for; ready when this returns. Raises: ServerFailed."""
        self.etcd.start()
        self.apiserver.start()
        if self.options.controllers:
            self.controllers.start()
        if self.options.kwok:
            self.kwok.start()

    def close(self) -> None:
        """End everything and remove its data."""
        for server in (self.kwok, self.controllers, self.apiserver, self.etcd):
            server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Who asks

    def api(self, user: str = "admin", **how: Any) -> Api:
        """Return the API as a user with a token sees it."""
        return Api(self.url, str(self.authority.certificate), token=self.tokens[user], **how)

    def certificate(self, user: str, groups: Sequence[str] = (), days: int = 30) -> tuple[Path, Path]:
        """Return the PEM files of a client certificate and its key, for any user; days 0: one that has expired."""
        return self.authority.issue(user, groups, days=days)

    def kubeconfig(
        self,
        user: str = "admin",
        *,
        token: str | None = None,
        token_file: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
        authority: Path | None = None,
        server: str | None = None,
        cluster: str = "test",
    ) -> Path:
        """Write a kubeconfig and return its path: who the user is, told by the first that is given of certificate,
        token_file (a client rereads it: a token can be rotated), token, or the user's token here.
        """
        who: dict[str, Any]
        if certificate:
            who = {"client-certificate": str(certificate[0]), "client-key": str(certificate[1])}
        elif token_file:
            who = {"tokenFile": str(token_file)}
        else:
            who = {"token": token or self.tokens[user]}
        where = {"server": server or self.url, "certificate-authority": str(authority or self.authority.certificate)}
        path = self.folder / f"kubeconfig-{user}-{secrets.token_hex(4)}"
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": cluster, "cluster": where}],
                    "users": [{"name": user, "user": who}],
                    "contexts": [{"name": f"{user}@{cluster}", "context": {"cluster": cluster, "user": user}}],
                    "current-context": f"{user}@{cluster}",
                }
            )
        )
        return path

    def rotate(self, user: str) -> str:
        """Give a user another token. The apiserver reads tokens when it starts: restart it, and the old is refused."""
        self.tokens[user] = secrets.token_hex(16)
        self._write_tokens()
        return self.tokens[user]

    def service_account(self, namespace: str, name: str) -> str:
        """Create a service account anew and return a token of it.

        Tokens of one that stood there before are refused within 10 s (the apiserver remembers its yes so long).
        """
        api, path = self.api(), SERVICE_ACCOUNT.format(namespace)
        try:
            api.delete(f"{path}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise
        api.create(path, {"metadata": {"name": name}})
        return self.service_account_token(namespace, name)

    def service_account_token(self, namespace: str, name: str, seconds: int = 3600) -> str:
        """Ask for another token of a service account (TokenRequest); the server grants no less than 600 s."""
        asked = {"spec": {"expirationSeconds": seconds}}
        path = f"{SERVICE_ACCOUNT.format(namespace)}/{name}/token"
        return str(self.api().create(path, asked)["status"]["token"])

    # What happens to it

    def restart_apiserver(self, kill: bool = False) -> None:
        """End kube-apiserver, by SIGTERM or as a power cut would, and start it again on the same port."""
        (self.apiserver.kill if kill else self.apiserver.stop)()
        self.apiserver.start()

    def snapshot(self) -> Path:
        """Copy etcd's data; etcd is down for a moment. restore() takes what is returned."""
        saved = self.folder / f"snapshot-{secrets.token_hex(4)}"
        self.etcd.kill()  # asked to end, it would wait some seconds for its clients; what it wrote is whole either way
        shutil.copytree(self.folder / "etcd", saved)
        self.etcd.start()
        return saved

    def restore(self, saved: Path) -> None:
        """Put etcd's data back as they were: resourceVersions go back. kube-apiserver starts anew, as it should."""
        self.apiserver.kill()
        self.etcd.kill()
        shutil.rmtree(self.folder / "etcd")
        shutil.copytree(saved, self.folder / "etcd")
        self.etcd.start()
        self.apiserver.start()

    def compact(self) -> int:
        """Let etcd forget all but its newest revision, which is returned.

        kube-apiserver's watch cache goes on remembering; see forget().
        """
        revision = int(self._etcd_call("kv/range", {"key": _base64("x")})["header"]["revision"])
        try:
            self._etcd_call("kv/compaction", {"revision": revision, "physical": True})
        except urllib.error.HTTPError as error:
            if b"compacted" not in error.read():  # nothing was written since the last one
                raise
        return revision

    def store(self, objects: Iterable[tuple[str, Any]]) -> None:
        """Write objects (key, such as `pods/default/a`, and JSON) where kube-apiserver keeps them, not asking it.

        It serves and watches them as any other; creating them through it costs three times as much.
        """
        etcd = http.client.HTTPConnection("127.0.0.1", self._etcd_port, timeout=30)
        # One by one: what a transaction writes shares a resourceVersion, and no real object does.
        for key, thing in objects:
            put = {"key": _base64(f"/registry/{key}"), "value": _base64(json.dumps(thing))}
            etcd.request("POST", "/v3/kv/put", json.dumps(put))
            answer = etcd.getresponse()
            told = answer.read()
            assert answer.status == 200, f"etcd: {told!r}"
        etcd.close()

    def forget(self) -> int:
        """Compact, and restart kube-apiserver so that its watch cache is empty: older versions are 410 from here."""
        revision = self.compact()
        self.restart_apiserver()
        return revision

    def keys(self) -> set[str]:
        """Everything that etcd holds for kube-apiserver, by its key."""
        asked = {"key": _base64("/registry/"), "range_end": _base64("/registry0"), "keys_only": True}
        found = self._etcd_call("kv/range", asked).get("kvs", ())
        return {base64.b64decode(one["key"]).decode() for one in found}

    def clear(self, kept: set[str]) -> None:
        """Remove what has come since `kept` was read, of any kind, but for what the servers make for themselves."""
        for key in self.keys() - kept:
            if not any(word in key for word in LASTING):
                self._etcd_call("kv/deleterange", {"key": _base64(key)})

    def answers(self) -> bool:
        """Whether a client would find it ready."""
        return self._etcd_ready() and self._apiserver_ready()

    # What it is started with

    def _server(self, name: str, flags: Sequence[str], ready: Any) -> Server:
        return Server(name, [str(self.binaries / name), *flags], self.folder / f"{name}.log", ready)

    def _write_files(self) -> None:
        signing_key(self.folder / "service-accounts.key")
        self._write_tokens()
        audit = self.options.audit
        if isinstance(audit, str):
            audit = {"omitStages": ["RequestReceived"], "rules": [{"level": audit}]}
        if audit is not None:
            policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", **audit}
            (self.folder / "audit-policy.json").write_text(json.dumps(policy))

    def _write_tokens(self) -> None:
        lines = [
            f'{self.tokens[name]},{name},{name},"{",".join(groups)}"' for name, groups in self.options.users.items()
        ]
        (self.folder / "tokens.csv").write_text("\n".join(lines) + "\n")

    # Is it there

    def _etcd_call(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._etcd_port}/v3/{what}"
        with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=30) as answer:
            told: dict[str, Any] = json.load(answer)
            return told

    def _etcd_ready(self) -> bool:
        try:
            self._etcd_call("kv/range", {"key": _base64("x")})
        except OSError:
            return False
        return True

    def _apiserver_ready(self) -> bool:
        api = self.api(timeout_seconds=2)
        try:
            ready = api.request("GET", "/readyz").status == 200
            # Pods need their namespace, and the apiserver makes it some time after it says that it is ready.
            return ready and api.request("GET", "/api/v1/namespaces/default").status == 200
        except OSError:
            return False


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def wait_until(what: Any, timeout_seconds: float = 20, every_seconds: float = 0.05) -> Any:
    """Return the first true value that `what()` gives. Raises: AssertionError after the timeout."""
    until = time.monotonic() + timeout_seconds
    while not (found := what()):
        assert time.monotonic() < until, f"still waiting after {timeout_seconds:.0f} s"
        time.sleep(every_seconds)
    return found


def missing() -> str:
    """Say what the machine lacks for a control plane; empty when nothing."""
    if shutil.which("openssl") is None:
        return "'openssl' is not installed"
    if built() is None:
        return "the control plane is not built: run make servers"
    return ""
