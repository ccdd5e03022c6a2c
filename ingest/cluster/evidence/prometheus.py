"""Reads kube-state-metrics series from Prometheus answers into observations.

A sample of a range query may repeat a scrape up to LOOKBACK_US old; only where the sample a step before is missing is
the scrape younger than that step. So a run of equal samples from `first` to `last` proves that the pod had the address
at some moment before `first`, and at some moment after `last - LOOKBACK_US`, no more.

The exporter keeps showing the address of pods that are over: a pod is a sight of a holder only where
kube_pod_status_phase says Running in the same samples. Everything else is a possible holder, no more. Scraping is no
watching: what came and went between two scrapes nobody saw.
Source: Prometheus HTTP API, range queries, staleness; kube-state-metrics, pod metrics.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from whowas.observation import (
    ContainerStatus,
    KubeObject,
    Meta,
    Observation,
    Owner,
    Ran,
    Spec,
    State,
    Status,
)
from whowas.timestamps import rfc3339

SECOND = 1_000_000
LOOKBACK_US = 300 * SECOND
MARK = b'"resultType"'
INFO = "kube_pod_info"
PHASE = "kube_pod_status_phase"
# Of these the value is a time in seconds since 1970.
TIMES = frozenset(
    ("kube_pod_created", "kube_pod_start_time", "kube_pod_completion_time", "kube_pod_container_state_started")
)
LABELS = "kube_pod_labels"
READ = frozenset((INFO, PHASE, LABELS, *TIMES))
OVER = frozenset(("Succeeded", "Failed"))


class Series(Struct):
    """One series. The samples are decoded one series at a time."""

    metric: dict[str, str]
    values: Raw | UnsetType = UNSET


class Data(Struct):
    """data of an answer."""

    resultType: str = ""
    result: list[Raw] = msgspec.field(default_factory=list)


class Answer(Struct):
    """An answer of /api/v1/query_range, or of /api/v1/query for a range of samples."""

    status: str = ""
    data: Data | None = None
    errorType: str | None = None
    error: str | None = None


ANSWER = msgspec.json.Decoder(Answer)
SERIES = msgspec.json.Decoder(Series)
SAMPLES = msgspec.json.Decoder(list[tuple[float, str]])


class Stretch(NamedTuple):
    """Samples without a missing step and with one value, [first, last] in us; the first scrape came after `after`."""

    first: int
    last: int
    after: int
    value: str
    labels: dict[str, str]
    source: str

    def scraped_after(self, at: int) -> int:
        """Return a moment that the scrape behind the sample at `at` certainly came after."""
        return max(self.after, at - LOOKBACK_US)

    def beside(self, other: Stretch) -> bool:
        """Say whether both come from one exporter, so that equal samples are one scrape."""
        return all(self.labels.get(name) == other.labels.get(name) for name in ("job", "instance"))


@dataclass
class PodSeries:
    """All stretches of one pod, by metric."""

    stretches: dict[str, list[Stretch]] = field(default_factory=lambda: defaultdict(list))

    def at(self, metric: str, time_us: int) -> list[Stretch]:
        """Return what a metric said at a sample."""
        return [one for one in self.stretches.get(metric, ()) if one.first <= time_us <= one.last]


@dataclass
class PodMetrics:
    """Takes answers, gives observations once all are in. counts: what could not be used, by reason."""

    counts: Counter[str] = field(default_factory=Counter)
    pods: dict[str, PodSeries] = field(default_factory=lambda: defaultdict(PodSeries))

    def take(self, answer: Answer, path: str, offset: int, series: Collection[bytes] | None = None) -> str | None:
        """Keep what an answer says of pods. Returns: why it says nothing, None when it does.

        Args: series: those of the answer, where they are kept apart from it; they are gone through twice.
        """
        data = answer.data
        if answer.status == "error" or data is None:
            return f"an error of Prometheus: {(answer.error or 'no data')[:200]}"
        if data.resultType != "matrix":
            return f"an answer of type {data.resultType[:20]!r}; ask /api/v1/query_range, which answers a matrix"
        result = data.result if series is None else series
        step, asked = _grid(result)
        read = 0
        for raw in result:
            one = _decoded(raw)
            metric = one.metric.get("__name__", "") if one else ""
            uid = one.metric.get("uid", "") if one else ""
            if one is None or metric not in READ or not uid:
                self.counts["odd_series" if one is None else "series_not_read" if metric not in READ else "no_uid"] += 1
                continue
            read += 1
            for stretch in _stretches(one, step, asked, f"{path}@{offset}"):
                self.pods[uid].stretches[metric].append(stretch)
        if len(result) and not read:
            return f"no series of {INFO} with a uid; ask for {INFO} with all its labels, not for a sum of it"
        return None

    def observations(self, cluster: str | None) -> Iterator[Observation]:
        """Yield what is proven of each pod, in the order of its samples."""
        for uid in list(self.pods):
            pod = self.pods.pop(uid)
            infos = sorted(pod.stretches.get(INFO, ()), key=lambda one: one.first)
            for info in infos:
                if any(_contradicts(info, one) for one in infos):
                    self.counts["two_addresses_at_once"] += 1
                else:
                    yield from self._of(pod, info, cluster)

    def _of(self, pod: PodSeries, info: Stretch, cluster: str | None) -> Iterator[Observation]:
        """Yield the sights of one stretch: for each phase in it, or as a possible holder where no phase is known."""
        phases = [one for one in pod.stretches.get(PHASE, ()) if one.value == "1" and _meet(one, info)]
        if not phases:
            self.counts["no_phase"] += 1
            yield Observation("LISTED", _pod(pod, info, "Unknown", info.first), None, 0, cluster, info.source)
        for one in sorted(phases, key=lambda one: (one.first, one.last)):
            phase = one.labels.get("phase", "Unknown")
            for at, received, low in sights(info, one, phase):
                yield Observation("LISTED", _pod(pod, info, phase, at), received, low, cluster, info.source)


def sights(info: Stretch, phase: Stretch, word: str) -> list[tuple[int, int | None, int]]:
    """Return (sample, received by, seen after) of each sight, in us.

    Running: seen before the first common sample, and after `sure`. Where `sure` lies before that sample, no moment is
    known by which it was seen and at which it still was. Over: by the first sample, at the latest.
    """
    first, last = max(info.first, phase.first), min(info.last, phase.last)
    if word in OVER:
        return [(first, first, first)]
    if word != "Running":
        return [(first, None, 0)]
    scrapes = (info.scraped_after(last), phase.scraped_after(last))
    sure = max(scrapes) if info.beside(phase) else min(scrapes)
    if sure < first:
        return [(first, None, max(sure, 0))]
    return [(first, first, first), (sure, sure, sure)] if sure > first else [(first, first, first)]


def _meet(one: Stretch, other: Stretch) -> bool:
    return one.first <= other.last and other.first <= one.last


def _contradicts(one: Stretch, other: Stretch) -> bool:
    return _meet(one, other) and one.labels.get("pod_ip") != other.labels.get("pod_ip")


def _grid(result: Iterable[bytes | Raw]) -> tuple[int, frozenset[int]]:
    """Return the smallest distance between two samples of a series (0 = none), and all times that were asked for."""
    step, asked = 0, set[int]()
    for raw in result:
        one = _decoded(raw)
        times = [round(at * SECOND) for at, _ in _samples(one)] if one else []
        asked.update(times)
        gaps = [after - before for before, after in pairwise(times) if after > before]
        if gaps:
            step = min(gaps) if not step else min(step, *gaps)
    return step, frozenset(asked)


def _decoded(raw: bytes | Raw) -> Series | None:
    try:
        return SERIES.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _samples(one: Series) -> list[tuple[float, str]]:
    if one.values is UNSET:
        return []
    try:
        return [(at, value) for at, value in SAMPLES.decode(one.values) if 0 < at < 1 << 40]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def _stretches(one: Series, step: int, asked: frozenset[int], source: str) -> Iterator[Stretch]:
    """Yield runs of samples that lie a step apart and have one value."""
    first = last = None
    value = ""
    for seconds, told in _samples(one):
        at = round(seconds * SECOND)
        if first is not None and last is not None and (told != value or not 0 < at - last <= step + step // 2):
            yield _stretch(first, last, value, one, step, asked, source)
            first = None
        if first is None:
            first, value = at, told
        last = at
    if first is not None and last is not None:
        yield _stretch(first, last, value, one, step, asked, source)


def _stretch(first: int, last: int, value: str, one: Series, step: int, asked: frozenset[int], source: str) -> Stretch:
    """Where the step before was asked for and had no such sample, the first scrape came after it."""
    young = step > 0 and first - step in asked
    return Stretch(first, last, first - (step if young else LOOKBACK_US), value, one.metric, source)


def _pod(pod: PodSeries, info: Stretch, phase: str, at: int) -> KubeObject:
    """Return the pod as the series show it at a sample."""
    told = info.labels
    owner = told.get("created_by_kind", "")
    owners = [Owner(owner, told.get("created_by_name", ""), "", True)] if owner not in ("", "<none>") else None
    host = told.get("host_network", "")
    host_network = host == "true" or (not host and told.get("pod_ip", "") == told.get("host_ip", " "))
    created = _time(pod, "kube_pod_created", at)
    meta = Meta(
        name=told.get("pod", ""), namespace=told.get("namespace", ""), uid=told.get("uid", ""),
        creationTimestamp=created, labels=_labels(pod, at), ownerReferences=owners,
    )  # fmt: skip
    ip = told.get("pod_ip") or None
    status = Status(phase=phase, startTime=_time(pod, "kube_pod_start_time", at), podIP=ip)
    status.containerStatuses = _ran(pod, phase, at)
    return KubeObject("Pod", meta, Spec(nodeName=told.get("node") or None, hostNetwork=host_network or None), status)


def _time(pod: PodSeries, metric: str, at: int) -> str | None:
    """Return a time that does not change in a pod's life, or the one of this sample."""
    found = pod.at(metric, at) or pod.stretches.get(metric, [])
    return _moment(found[0].value) if found else None


def _moment(seconds: str) -> str | None:
    try:
        us = int(float(seconds)) * SECOND
    except (ValueError, OverflowError):
        return None
    return rfc3339(us) if 0 < us < 1 << 56 else None


def _ran(pod: PodSeries, phase: str, at: int) -> list[ContainerStatus] | None:
    """Containers: running since when; of a pod that is over, that one ran until when (so it ran then, at least)."""
    if phase in OVER:
        ends = [_moment(one.value) for one in pod.at("kube_pod_completion_time", at)]
        return [ContainerStatus(State(terminated=Ran(end, end))) for end in ends if end] or None
    begun = [_moment(one.value) for one in pod.at("kube_pod_container_state_started", at)]
    return [ContainerStatus(State(running=Ran(one))) for one in begun if one] or None


def _labels(pod: PodSeries, at: int) -> dict[str, str] | None:
    """Labels as Prometheus spells them: what is no letter or digit became `_` (app_kubernetes_io_name)."""
    found: dict[str, str] = {}
    for one in pod.at(LABELS, at):
        for name, text in one.labels.items():
            if name.startswith("label_") and text:
                found[name.removeprefix("label_")] = text
    if "pod_template_hash" in found:
        found["pod-template-hash"] = found.pop("pod_template_hash")
    return found or None
