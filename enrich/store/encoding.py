"""Encodes observations for the store: numeric codes, reduced objects."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from enrich.holds.plugin_addresses import pod_addresses
from whowas.addresses import address16
from whowas.kube_annotations import CALICO
from whowas.observation import KubeObject, Observation, version_number

# Numbers that stand in the file: only ever add to the end.
VERBS = ("ADDED", "MODIFIED", "DELETED", "LISTED", "VANISHED", "JOINED", "LEFT")
KINDS = (
    "", "Pod", "Service", "Node", "EndpointSlice", "Namespace", "NetworkPolicy", "ReplicaSet", "Job", "CronJob",
    "Deployment", "StatefulSet", "DaemonSet", "ClusterNetworkPolicy", "AdminNetworkPolicy",
    "BaselineAdminNetworkPolicy", "AuthorizationPolicy", "PeerAuthentication",
)  # fmt: skip
VERB = {word: number for number, word in enumerate(VERBS)}
KIND = {word: number for number, word in enumerate(KINDS) if word}
POD = KIND["Pod"]
# Of these who held what is derived; the others are evidence for people and policies.
DERIVED = (KIND["Pod"], KIND["Service"], KIND["Node"])
OWNERS = tuple(KIND[word] for word in ("ReplicaSet", "Job", "CronJob", "Deployment", "StatefulSet", "DaemonSet"))
GONE = ("DELETED", "VANISHED")
MEMBERS = ("JOINED", "LEFT")
# Numbers that stand in span.gap.
SPANS = ("WATCHED", "GAP", "LATE")
LOOKING = frozenset(("START", "BOOKMARK", "RELISTED", "CLOCK", "OFFSET", *SPANS))
# Conditions that bound holds; the others flap, and say nothing of addresses.
CONDITIONS = frozenset(("PodScheduled", "PodReadyToStartContainers"))
# Years 1 to 9999: what can be written as a time and read again.
EARLIEST, LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999
# An apiserver takes objects of 1.5 MB; of far larger ones somebody else is the author.
BODY_MOST = 16 << 20
VERSION_MOST = (1 << 63) - 1
ENCODE = msgspec.json.Encoder()


class Unfit(Exception):
    """An observation that cannot be stored. Its text is the reason, one of a few, to be counted by."""


def encoded(one: Observation) -> bytes:
    """Return what an observation's object says, as it is stored; b"" for a word about the looking.

    Raises: Unfit, so that one odd observation costs that one, and not the transaction it is in.
    """
    if one.verb in SPANS:
        if one.span is None or one.span[0] > one.span[1]:
            raise Unfit("a time out of range")
        _in_range(*one.span)
    try:
        meta = one.object.metadata
        # Of a word about the looking no more than this is kept; of an object all of it is tried below.
        more = (meta.resourceVersion, meta.name) if meta else ()
        for word in (one.object.kind, one.cluster, one.service, *more):
            if word:
                word.encode()
        body = b"" if one.verb in LOOKING else reduced(one.object)
    except (UnicodeError, RecursionError, TypeError, ValueError, AttributeError):
        raise Unfit("text that cannot be stored") from None
    if one.received_us is not None:
        _in_range(one.received_us)
    if one.verb in LOOKING:
        return body
    _in_range(one.not_before_us)
    if one.verb not in VERB or one.object.kind not in KIND:
        raise Unfit("a verb or kind that is not kept")
    if one.object.metadata is None or not one.object.metadata.uid:
        raise Unfit("no uid")
    if one.verb in MEMBERS and not one.service:
        raise Unfit("no service")
    if len(body) > BODY_MOST:
        raise Unfit("too large")
    return body


def _in_range(*times: int) -> None:
    for us in times:
        if not EARLIEST <= us <= LATEST:
            raise Unfit("a time out of range")


def reduced(thing: KubeObject) -> bytes:
    """Return an object as it is stored: without its version, which has a column, and without what only flaps."""
    meta, status = thing.metadata, thing.status
    version, conditions = None, None
    if meta is not None:
        version, meta.resourceVersion = meta.resourceVersion, None
    if status is not None and status.conditions:
        conditions = status.conditions
        status.conditions = [one for one in conditions if one.type in CONDITIONS] or None
    try:
        return ENCODE.encode(thing)
    finally:
        if meta is not None:
            meta.resourceVersion = version
        if status is not None and conditions is not None:
            status.conditions = conditions


def version_of(thing: KubeObject) -> int | None:
    """Return an object's version as a number that fits into a column, else None."""
    version = version_number(thing.metadata.resourceVersion) if thing.metadata else None
    return None if version is None or version > VERSION_MOST else version


def addresses(thing: KubeObject) -> Iterable[bytes]:
    """Return every address an object speaks of as its own, by which it can be found."""
    words: list[str | None] = []
    further: list[bytes] = []
    meta, spec, status = thing.metadata, thing.spec, thing.status
    if thing.kind == "Pod" and status is not None:
        words += [status.podIP, *(one.ip for one in status.podIPs or ())]
    elif thing.kind == "Service" and spec is not None:
        words += [spec.clusterIP, *(spec.clusterIPs or ()), *(spec.externalIPs or ())]
        balancer = status.loadBalancer if status else None
        words += [one.ip for one in (balancer.ingress if balancer else None) or ()]
    if thing.kind == "Pod" and meta is not None and meta.annotations:
        for note in CALICO:
            words += meta.annotations.get(note, "").split(",")
        further = [ip for ip, _ in pod_addresses(meta.annotations)]
    return {*further, *(ip for ip in map(address16, words) if ip is not None)}
