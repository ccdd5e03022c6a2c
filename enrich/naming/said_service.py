"""The Service that a client itself names in TLS or HTTP, beside the name that the history gives its address.

It is evidence, not a name: a client says whatever it likes. It never changes a name; where the two contradict each
other, both are told.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whowas.schema import WORD

COLUMNS = ("said_service", "said_reason", "said_conflict")
# NAME.NAMESPACE.svc, with a pod before it and the cluster's domain behind it, or without.
INTERNAL = re.compile(r"(?:[a-z0-9-]+\.)?([a-z0-9-]{1,63})\.([a-z0-9-]{1,63})\.svc(?:\.[a-z0-9.-]+)?")
# Envoy's cluster as Istio's sidecars send it: outbound_.PORT_.SUBSET_.HOST.
ISTIO = re.compile(r"outbound_\.(\d{1,5})_\.([^_]*)_\.(.+)")
# What is said of an end whose name is not sure would be held against a guess.
SURE = ("exact", "likely", "service")


class Said(NamedTuple):
    """A Service by its own words. where: the reason, for people."""

    namespace: str
    name: str
    where: str


@lru_cache(maxsize=1 << 14)
def service_in(sni: str | None, host: str | None) -> Said | None:
    """Return the Service that a server name, or else a Host, names; None: no Service of a cluster."""
    mesh = ISTIO.fullmatch(sni) if sni else None
    if mesh:
        subset = f", subset {mesh[2]}" if mesh[2] else ""
        return _internal(mesh[3], f"an Istio sidecar's server name, port {mesh[1]}{subset}")
    if sni:
        found = _internal(sni, "the server name of TLS")
        if found:
            return found
    return _internal(host.partition(":")[0], "the Host of HTTP") if host else None


def _internal(name: str, where: str) -> Said | None:
    found = INTERNAL.fullmatch(name)
    return Said(found[2], found[1], where) if found else None


@lru_cache(maxsize=1 << 14)
def conflict(said: Said, confidence: str | None, namespace: str | None, services: str | None) -> str | None:
    """Say how what a client said contradicts whom it spoke to; None where it does not, or nobody can tell."""
    if confidence not in SURE or namespace is None:
        return None
    if namespace != said.namespace:
        return f"it names {said.namespace}/{said.name}; the address is in namespace {namespace}"
    if services and said.name not in services.replace(" ", "").split(","):
        return f"it names {said.namespace}/{said.name}; the address serves {services}"
    return None


def said_columns(flows: Any, named: dict[str, Any]) -> dict[str, Any]:
    """Return the COLUMNS of a batch. named: dst_confidence, dst_namespace and dst_service, as naming has them."""
    told = pc.or_(pc.is_valid(flows["tls_sni"]), pc.is_valid(flows["http_host"]))
    rows = np.flatnonzero(told.to_numpy(zero_copy_only=False))
    lists: dict[str, list[str | None]] = {name: [None] * flows.num_rows for name in COLUMNS}
    if len(rows):
        _fill(rows, flows, named, lists)
    return {name: _words(some, bool(len(rows))) for name, some in lists.items()}


def _fill(rows: Any, flows: Any, named: dict[str, Any], lists: dict[str, list[str | None]]) -> None:
    some = [column.take(pa.array(rows)).to_pylist() for column in (
        flows["tls_sni"], flows["http_host"], named["dst_confidence"], named["dst_namespace"], named["dst_service"],
    )]  # fmt: skip
    for row, sni, host, confidence, namespace, services in zip(rows.tolist(), *some, strict=True):
        said = service_in(sni, host)
        if said is not None:
            lists["said_service"][row] = f"{said.namespace}/{said.name}"
            lists["said_reason"][row] = said.where
            lists["said_conflict"][row] = conflict(said, confidence, namespace, services)


def _words(texts: list[str | None], any_said: bool) -> Any:
    return pa.array(texts, pa.string()).dictionary_encode().cast(WORD) if any_said else pa.nulls(len(texts), WORD)
