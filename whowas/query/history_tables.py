"""The tables `holds` and `evidence`: who held an address when, and what the cluster said."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import msgspec
import pyarrow as pa

from whowas.addresses import address16
from whowas.history.evidence_files import Paths, listed
from whowas.history.queries import load_history, the_store
from whowas.observation import KubeObject, Observation, time_us
from whowas.query.database import Database
from whowas.schema import ADDRESS
from whowas.timestamps import AFTER_ALL, BEFORE_ALL

NAMES = ("holds", "evidence")
AT_ONCE = 4096
TIME = pa.timestamp("us", tz="UTC")
EVIDENCE = pa.schema(
    [
        ("cluster", pa.string()),
        ("received_time", TIME),
        ("not_before_time", TIME),
        ("verb", pa.string()),
        ("kind", pa.string()),
        ("namespace", pa.string()),
        ("name", pa.string()),
        ("uid", pa.string()),
        ("created_time", TIME),
        ("deletion_time", TIME),
        ("resource_version", pa.string()),
        ("phase", pa.string()),
        ("node", pa.string()),
        ("addresses", pa.list_(pa.string())),
        ("labels", pa.map_(pa.string(), pa.string())),
        ("span_start", TIME),
        ("span_end", TIME),
        ("service", pa.string()),
        ("source", pa.string()),
        ("object", pa.string()),
    ]
)


def add(database: Database, wanted: Iterable[str], history: Paths, cluster: str | None = None) -> None:
    """Make those of the tables that a query names. Raises: InputError, StoreError."""
    asked = set(wanted)
    if "holds" in asked:
        from enrich.history.holds_table import SCHEMA

        schema = pa.schema([*SCHEMA, ("address16", ADDRESS)])
        database.add("holds", schema, _holds(history, cluster, schema))
    if "evidence" in asked:
        with _observations(history, cluster) as every:
            database.add("evidence", EVIDENCE, _evidence(every))


def _holds(history: Paths, cluster: str | None, schema: Any) -> Iterator[Any]:
    from enrich.history.holds_table import holds_batches

    for known in load_history(history, cluster=cluster).clusters.values():
        for batch in holds_batches(known):
            octets = pa.array([address16(one) for one in batch.column("address").to_pylist()], ADDRESS)
            yield pa.RecordBatch.from_arrays([*batch.columns, octets], schema=schema)


@contextmanager
def _observations(history: Paths, cluster: str | None) -> Iterator[Iterator[Observation]]:
    store = the_store(history)
    if store is None:
        yield _of_files(history, cluster)
        return
    from enrich.store.database import opened
    from enrich.store.reader import StoreReader
    from enrich.store.watch_spans import spans_within

    with opened(store) as database:
        reading = StoreReader(database)

        def every() -> Iterator[Observation]:
            yield from spans_within(database, reading.clusters, BEFORE_ALL, AFTER_ALL)
            yield from reading.observations(BEFORE_ALL, AFTER_ALL)

        yield every()


def _of_files(history: Paths, cluster: str | None) -> Iterator[Observation]:
    from ingest.cluster import EvidenceReport, in_order, read_observations
    from ingest.files import find_inputs

    return iter(read_observations(in_order(find_inputs(listed(history))), cluster, EvidenceReport()))


def _evidence(observations: Iterator[Observation]) -> Iterator[Any]:
    while several := list(islice(observations, AT_ONCE)):
        yield pa.RecordBatch.from_pylist([_row(one) for one in several], schema=EVIDENCE)


def _row(one: Observation) -> dict[str, Any]:
    thing = one.object
    about, spec, status = thing.metadata, thing.spec, thing.status
    low, high = one.span or (None, None)
    return {
        "cluster": one.cluster,
        "received_time": one.received_us,
        "not_before_time": one.not_before_us or None,
        "verb": one.verb,
        "kind": thing.kind or None,
        "namespace": (about and about.namespace) or None,
        "name": (about and about.name) or None,
        "uid": (about and about.uid) or None,
        "created_time": time_us(about.creationTimestamp) if about else None,
        "deletion_time": time_us(about.deletionTimestamp) if about else None,
        "resource_version": about.resourceVersion if about else None,
        "phase": status.phase if status else None,
        "node": spec.nodeName if spec else None,
        "addresses": _addresses(thing),
        "labels": list((about.labels or {}).items()) if about else None,
        # Of OFFSET a span is no times.
        "span_start": _moment(low) if one.verb != "OFFSET" else None,
        "span_end": _moment(high) if one.verb != "OFFSET" else None,
        "service": one.service or None,
        "source": one.source or None,
        "object": msgspec.json.encode(thing).decode(errors="replace"),
    }


def _moment(us: int | None) -> int | None:
    return us if us is not None and BEFORE_ALL < us < AFTER_ALL - 1 else None


def _addresses(thing: KubeObject) -> list[str]:
    """Every address that the object says is its own, each once."""
    found: list[str | None] = []
    if thing.status is not None:
        found += [thing.status.podIP, *(one.ip for one in thing.status.podIPs or ())]
        found += [one.address for one in thing.status.addresses or () if one.type != "Hostname"]
        found += [one.ip for one in (thing.status.loadBalancer and thing.status.loadBalancer.ingress) or ()]
    if thing.spec is not None:
        found += [thing.spec.clusterIP, *(thing.spec.clusterIPs or ())]
    return list(dict.fromkeys(one for one in found if one and address16(one)))


def columns(name: str) -> list[str]:
    """The names of a table's columns."""
    from enrich.history.holds_table import SCHEMA

    return [*SCHEMA.names, "address16"] if name == "holds" else list(EVIDENCE.names)


def given(history: Paths) -> bool:
    """Say whether a history was named at all."""
    return bool(listed(history)) and all(os.fspath(one) for one in listed(history))
