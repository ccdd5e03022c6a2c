"""Who answers: brokers, the apiserver, receivers of alerts. Nothing is sent that anybody keeps."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from urllib.parse import urlsplit

from whowas.checkup.finding import FAIL, OK, WARN, Finding, of_error
from whowas.errors import ConfigError
from whowas.settings import StreamConfig

KAFKA_PORT = 9092
PORTS = {"http": 80, "https": 443}
# More servers than that are not tried one after the other.
MOST = 8
LOOKED_AT = frozenset({"folder", "broker", "topic", "output", "rules"})


def connects(host: str, port: int, seconds: float) -> str:
    """Try a connection. Returns: "" where one came about, else why not."""
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except (OSError, UnicodeError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error) or "no answer"
    return ""


def brokers(config: StreamConfig, seconds: float) -> Iterator[Finding]:
    """Try each of the bootstrap servers."""
    told = str(config.kafka.options.get("bootstrap.servers", ""))
    for server in [one.strip() for one in told.split(",") if one.strip()][:MOST]:
        # librdkafka takes SASL_SSL://host:port too.
        host, port = _host_and_port(server.rpartition("://")[2], KAFKA_PORT)
        why = connects(host, port, seconds) if port else "that is no address"
        state, advice = (FAIL, "see [kafka.options] bootstrap.servers, and the network between") if why else (OK, "")
        yield Finding("reachable", f"kafka {server}", state, why or "takes connections", advice)


def receivers(config: StreamConfig, seconds: float) -> Iterator[Finding]:
    """Try the hosts of those to whom alerts are sent. No alert is sent."""
    alerts = config.alerts
    if alerts is None:
        return
    if alerts.alertmanager is not None:
        yield _receiver("alertmanager", alerts.alertmanager.url, seconds)
    if alerts.webhook is not None:
        url = alerts.webhook.url or ""
        if alerts.webhook.url_file:
            try:
                with open(alerts.webhook.url_file, encoding="utf-8") as handle:
                    url = handle.read(1 << 16).strip()
            except (OSError, UnicodeDecodeError) as error:
                why = f"cannot read '{alerts.webhook.url_file}': {getattr(error, 'strerror', None) or error}"
                yield Finding("reachable", "webhook", FAIL, why, "see [alerts.webhook] url_file")
                return
        yield _receiver("webhook", url, seconds, secret=bool(alerts.webhook.url_file))


def _receiver(what: str, url: str, seconds: float, secret: bool = False) -> Finding:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        host, port = "", 0
    if not host or not port:
        return Finding("reachable", what, FAIL, "its url is none", f"see [alerts.{what}]")
    why = connects(host, port, seconds)
    # The path of a webhook is often its password.
    told = f"{host}:{port}" if not secret else "the host of its url_file"
    if why:
        return Finding("reachable", what, FAIL, f"{told}: {why}", f"see [alerts.{what}], and the network between")
    return Finding("reachable", what, OK, f"{told} takes connections")


def _host_and_port(server: str, usual: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{server}")
        return parts.hostname or "", parts.port or usual
    except ValueError:
        return "", 0


def stream_parts(config: StreamConfig, *, with_broker: bool) -> Iterator[Finding]:
    """What `whowas stream --check` tries, as far as that writes nothing: topics with their rights and lag, rules."""
    from whowas.streaming.preflight import checks

    wanted = LOOKED_AT if with_broker else LOOKED_AT - {"broker", "topic", "output"}
    for one in checks(config, wanted):
        yield Finding("permitted", one.what, OK, one.detail) if one.ok else of_error("permitted", one.what, one.detail)


def apiserver(kubeconfig: str | None, context: str | None) -> Iterator[Finding]:
    """Ask the cluster that `whowas watch` would record, and for each right that it needs."""
    if find_spec("kubernetes") is None:
        return
    from ingest.cluster.watch.api_client import IN_CLUSTER, connect
    from ingest.cluster.watch.rbac import rights

    usual = (
        os.environ.get("KUBECONFIG")
        or os.environ.get(IN_CLUSTER)
        or os.path.exists(os.path.expanduser("~/.kube/config"))
    )
    if not (kubeconfig or context or usual):
        yield Finding("reachable", "apiserver", OK, "no kubeconfig here: nothing to record")
        return
    try:
        found = connect(kubeconfig, context)
    except ConfigError as error:
        yield of_error("reachable", "apiserver", str(error), FAIL if kubeconfig or context else WARN)
        return
    yield Finding("reachable", "apiserver", OK, f"{found.server} ({found.name}), {found.version or 'version not told'}")
    missing = [one for one in rights(found) if not one.allowed]
    needed = [str(one) for one in missing if not one.optional]
    if needed:
        yield Finding("permitted", "recording", FAIL, f"missing: {', '.join(needed)}", "grant it: deploy/rbac.yaml")
    elif missing:
        told = f"missing: {', '.join(map(str, missing))}"
        costs = "; ".join(dict.fromkeys(one.resource.costs for one in missing))
        yield Finding("permitted", "recording", WARN, told, f"grant it (deploy/rbac.yaml); without it {costs}")
    else:
        yield Finding("permitted", "recording", OK, "everything the recorder needs is granted")
