"""Follows the history for a worker, and makes the namer of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from detect.policy.timeline import Timeline
from enrich import History, Namer, NamingOptions, load_issuers, load_networks
from enrich.history.stored import StoredHistory
from whowas.errors import ConfigError, StoreError
from whowas.evidence_topic import Replica, TopicSettings
from whowas.history.queries import the_store
from whowas.policy.flow_columns import PolicyNamer
from whowas.policy.following import StoredTimelines, known_until
from whowas.policy.loading import load
from whowas.policy.meshes import mesh_of
from whowas.schema import flow_schema, named_schema
from whowas.settings import HistorySettings, Kafka, Naming

# Following costs time: never more than this part of it.
SHARE = 0.2


class HistoryFollower:
    """Who held what, as of the last look. `watermark_us`: up to here everything that happened has been told.

    Raises: WhowasError when it cannot be read at the start; later the last state stays, and `trouble` says why.
    """

    def __init__(self, told: HistorySettings, naming: Naming, replica: Replica | None = None) -> None:
        self._told = told
        self._replica = replica
        self._stored: StoredHistory | None = None
        store = the_store(told.path)
        if store is not None:
            self._stored = StoredHistory(store)
            self._history = self._stored.history
            self._policies: StoredTimelines | None = StoredTimelines(store)
            self._timelines = self._policies.timelines
        else:
            self._history, self._timelines = load(told.path, cluster=told.cluster)
            self._policies = None
        self._due = time.monotonic() + told.refresh_seconds
        self.trouble = ""
        self.options = naming_options(told, naming)
        self._use(self._history)

    def _use(self, history: History, before: Namer | None = None) -> None:
        self.namer = Namer(history, self.options, before=before)
        self._history = history
        name = self.namer.history.name
        timeline = self._timelines.get(name) or Timeline()
        self._judging = PolicyNamer(self.namer, timeline, mesh_of(self.options.issuers, name))
        self.watermark_us = known_until(timeline, self.namer.history.known_until, mesh=bool(self.options.issuers))

    def renew(self, naming: Naming) -> None:
        """Name by other networks, identities, VNIs, skew from now on. Raises: ConfigError; nothing has changed then."""
        self.options = naming_options(self._told, naming)
        self._use(self._history)

    def refresh(self) -> bool:
        """Look for news when it is time to. Returns: whether there was any."""
        if self._stored is None or time.monotonic() < self._due:
            return False
        began = time.monotonic()
        try:
            self._stored.refresh()
            # A replica that reads everything anew knows less for a while; what was known up to here stays true.
            self.trouble = "; ".join(self._replica.unready()) if self._replica is not None else ""
            news = not self.trouble and self._stored.history is not self._history
            if news:
                if self._policies is not None:
                    self._policies.refresh()
                    self._timelines = self._policies.timelines
                self._use(self._stored.history, self.namer)
        except (StoreError, ConfigError) as error:
            self.trouble, news = str(error), False
        took = time.monotonic() - began
        self._due = time.monotonic() + max(self._told.refresh_seconds, took / SHARE)
        return news

    def name(self, batches: Sequence[Any]) -> list[Any]:
        """Return batches of flows with names, rows in the same order; named together, for a batch has its price."""
        if len(batches) == 1 and batches[0].num_rows:
            return [self._judging.name(batches[0])]
        whole = pa.Table.from_batches(batches, schema=flow_schema()).unify_dictionaries().combine_chunks()
        named = self._judging.name(whole.to_batches()[0]) if whole.num_rows else _none()
        ends = list(itertools.accumulate(one.num_rows for one in batches))
        return [named.slice(end - one.num_rows, one.num_rows) for one, end in zip(batches, ends, strict=True)]

    def close(self) -> None:
        """Let go of the store."""
        if self._stored is not None:
            self._stored.close()


def replica_of(told: HistorySettings, kafka: Kafka) -> Replica | None:
    """Return what keeps the history's file, where it comes from a topic."""
    if told.topic is None:
        return None
    return Replica(told.path, TopicSettings(told.topic, kafka.client, kafka.options))


def _none() -> Any:
    """Records of which none could be read have no flows, and a place among the others all the same."""
    schema = named_schema()
    return pa.RecordBatch.from_arrays([one.combine_chunks() for one in schema.empty_table().columns], schema=schema)


def naming_options(told: HistorySettings, naming: Naming) -> NamingOptions:
    """Return how to name. Raises: ConfigError.

    In a stream nobody can take back what was called certain before a second VNI came up: unless the cluster's VNIs
    are said, no name inside a tunnel is certain.
    """
    return NamingOptions(
        cluster=told.cluster,
        networks=load_networks(naming.networks) if naming.networks else (),
        vnis=naming.vnis or "several",
        sensor_skew_seconds=naming.sensor_skew_seconds,
        export_seconds=naming.export_seconds,
        issuers=load_issuers(naming.identities) if naming.identities else (),
    )
