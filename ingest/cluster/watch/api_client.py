"""Connects to an apiserver: credentials and raw requests."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http.client import HTTPException
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from ingest.cluster.watch.api_errors import Refused, Unreachable, refused
from whowas.errors import ConfigError, MissingExtra

DEFAULT_KUBECONFIG = "~/.kube/config"
IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
USER_AGENT = f"whowas/{version('whowas')}"
PROBE_SECONDS = (5.0, 15.0)
ANSWER_MOST = 1 << 20
# The client writes certificates it found inside a kubeconfig into files it shares between configurations.
LOADING = threading.Lock()


class Version(msgspec.Struct):
    """The answer of /version."""

    gitVersion: str = ""


@dataclass(frozen=True)
class Connection:
    """A cluster that answered. `name`: its name in the kubeconfig; `version`: what it says of itself, "" = nothing."""

    name: str
    server: str
    load: Callable[[], Any]
    version: str = ""

    def client(self) -> Client:
        """Return a client of its own connections, with the credentials as they are now."""
        return Client(self.load())


class Client:
    """Raw requests by the official client's connections and credentials. Not to be shared between threads."""

    def __init__(self, configuration: Any) -> None:
        from kubernetes.client import ApiClient

        self._api = ApiClient(configuration)
        self._configuration = configuration

    def get(self, path: str, query: Mapping[str, str], *, accept: str, seconds: tuple[float, float], asked: str) -> Any:
        """Return an open response (urllib3) with status 200.

        Args: seconds: to connect, and of silence while reading. asked: the verb and object for messages.
        Raises: Refused, Unreachable.
        """
        url = f"{path}?{urlencode(query)}" if query else path
        return self._request("GET", url, None, accept, seconds, asked)

    def post(self, path: str, body: Any, *, asked: str) -> bytes:
        """Send JSON, return the answer's. Raises: Refused, Unreachable."""
        sent = msgspec.json.encode(body)
        response = self._request("POST", path, sent, "application/json", PROBE_SECONDS, asked)
        return self._read(response, asked)

    def version(self) -> str:
        """Ask for the server's version; "" when it does not tell strangers. Raises: Refused, Unreachable."""
        asked = f"connect to '{self._configuration.host}'"
        try:
            answer = self.get("/version", {}, accept="application/json", seconds=PROBE_SECONDS, asked=asked)
            return msgspec.json.decode(self._read(answer, asked), type=Version).gitVersion
        except Refused as error:
            if error.status == 403:
                return ""
            raise
        except msgspec.DecodeError as error:
            raise Unreachable(asked, ValueError("what answers is no apiserver")) from error

    def close(self) -> None:
        """Close every connection."""
        self._api.rest_client.pool_manager.clear()

    def _request(
        self, method: str, url: str, body: bytes | None, accept: str, seconds: tuple[float, float], asked: str
    ) -> Any:
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        try:
            headers = {**self._credentials(), "Accept": accept, "User-Agent": USER_AGENT}
            if body is not None:
                headers["Content-Type"] = "application/json"
            response = self._api.rest_client.pool_manager.request(
                method,
                self._configuration.host + url,
                body=body,
                headers=headers,
                preload_content=False,
                # Its own retries know no jitter, and its pauses cannot be interrupted.
                retries=False,
                redirect=False,
                timeout=Timeout(connect=seconds[0], read=seconds[1]),
            )
            if 200 <= response.status < 300:
                return response
            told = response.read(ANSWER_MOST)
            response.close()
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            raise Unreachable(asked, error) from error
        raise refused(asked, response.status, told, response.headers.get("Retry-After"))

    def _credentials(self) -> dict[str, str]:
        """The headers that say who asks. A token read from a file ends in a line break, which no header may have."""
        from kubernetes.config import ConfigException

        try:
            settings = self._configuration.auth_settings().values()
        except ConfigException as error:
            raise ValueError(str(error)) from error
        return {one["key"]: one["value"].strip() for one in settings if one["in"] == "header" and one["value"]}

    @staticmethod
    def _read(response: Any, asked: str) -> bytes:
        from urllib3.exceptions import HTTPError

        try:
            answer: bytes = response.read(ANSWER_MOST)
        except (HTTPError, HTTPException, OSError) as error:
            raise Unreachable(asked, error) from error
        finally:
            response.close()
        return answer


def connect(kubeconfig: str | None, context: str | None, *, probe: bool = True) -> Connection:
    """Find a cluster, as kubectl does: the file given, $KUBECONFIG, ~/.kube/config, or the cluster we run in.

    Args: context: of the kubeconfig; None = its current one. probe: ask the server for its version.
    Raises: ConfigError: no kubeconfig, no such context, wrong certificate, nobody answers, credentials refused.
        MissingExtra: the client is not installed.
    """
    if find_spec("kubernetes") is None:
        raise MissingExtra("kubernetes", "watch")
    paths = _paths(kubeconfig)
    if paths:
        found = _from_kubeconfig(paths, context)
    elif os.environ.get(IN_CLUSTER):
        if context is not None:
            raise ConfigError(f"cannot use context '{context}': there is no kubeconfig; give --kubeconfig FILE")
        found = _from_inside()
    else:
        raise ConfigError(
            "cannot connect to a cluster: no kubeconfig given, none in $KUBECONFIG or ~/.kube/config, "
            "and this is not a pod; give --kubeconfig FILE"
        )
    return _probed(found) if probe else found


def _probed(found: Connection) -> Connection:
    client = found.client()
    try:
        return replace(found, version=client.version())
    except (Refused, Unreachable) as error:
        raise ConfigError(str(error)) from error
    finally:
        client.close()


def _paths(kubeconfig: str | None) -> str:
    """The kubeconfig files, joined as in $KUBECONFIG; "" when there are none."""
    if kubeconfig is not None:
        if not Path(kubeconfig).expanduser().is_file():
            raise ConfigError(f"cannot read kubeconfig '{kubeconfig}': no such file; give the path of one that exists")
        return kubeconfig
    named = os.environ.get("KUBECONFIG", "")
    if named:
        if not any(Path(one).expanduser().is_file() for one in named.split(os.pathsep) if one):
            raise ConfigError(f"cannot read kubeconfig '{named}' of $KUBECONFIG: no such file; correct or unset it")
        return named
    return DEFAULT_KUBECONFIG if Path(DEFAULT_KUBECONFIG).expanduser().is_file() else ""


def _from_kubeconfig(paths: str, context: str | None) -> Connection:
    def load() -> Any:
        with LOADING:
            return _load(paths, context)[1]

    with LOADING:
        cluster, configuration = _load(paths, context)
    return Connection(cluster, configuration.host, load)


def _load(paths: str, context: str | None) -> tuple[str, Any]:
    """Return the cluster's name and a fresh configuration; tokens and certificates are read anew."""
    import yaml
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

    try:
        merged = KubeConfigMerger(paths).config
        if merged is None:
            raise ConfigError(f"cannot read kubeconfig '{paths}': it is empty; give another")
        parts = {name: _named(merged.value.get(name)) for name in ("contexts", "clusters", "users")}
        chosen = context or merged.value.get("current-context") or ""
        _check(paths, chosen, parts)
        loader = KubeConfigLoader(config_dict=merged, active_context=chosen, config_base_path=None)
        configuration = Configuration()
        loader.load_and_set(configuration)
    except (ConfigException, yaml.YAMLError, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"cannot use kubeconfig '{paths}': {' '.join(str(error).split())}; correct it") from error
    asked = parts["contexts"][chosen]["context"]
    _check_plugin(parts["users"].get(str(asked.get("user")), {}), configuration)
    return str(asked["cluster"]), configuration


def _named(nodes: Any) -> dict[str, Any]:
    """Entries of the merged file by name."""
    entries = [getattr(one, "value", one) for one in nodes or ()]
    return {str(one["name"]): one for one in entries}


def _check(paths: str, chosen: str, parts: dict[str, dict[str, Any]]) -> None:
    """Raise: ConfigError when the context, or what it names, is not there."""
    there = ", ".join(sorted(parts["contexts"])) or "none"
    if not chosen:
        raise ConfigError(
            f"cannot choose a context of '{paths}': it has no current one; give --context, one of: {there}"
        )
    if chosen not in parts["contexts"]:
        raise ConfigError(f"cannot use context '{chosen}' of '{paths}': no such context; there is {there}")
    cluster = (parts["contexts"][chosen].get("context") or {}).get("cluster")
    if not ((parts["clusters"].get(str(cluster)) or {}).get("cluster") or {}).get("server"):
        raise ConfigError(f"cannot use context '{chosen}' of '{paths}': its cluster '{cluster}' has no server; add it")


def _check_plugin(user: Mapping[str, Any], configuration: Any) -> None:
    """The client only logs when a credential plugin fails, and goes on as nobody."""
    plugin = (user.get("user") or {}).get("exec")
    if plugin and not configuration.api_key and not configuration.cert_file:
        command = plugin.get("command")
        raise ConfigError(f"cannot log in with '{command}': it gave no credentials; run it by hand to see why")


def _from_inside() -> Connection:
    """The service account of the pod we run in."""
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, load_incluster_config

    def load() -> Any:
        configuration = Configuration()
        try:
            load_incluster_config(client_configuration=configuration)
        except (ConfigException, OSError) as error:
            raise ConfigError(
                f"cannot use the pod's service account: {error}; set automountServiceAccountToken: true"
            ) from error
        return configuration

    return Connection("default", load().host, load)
