"""Replays an audit log's writes into states of each object.

Where the log has the response, it is the object. Where it has the request only, the last known object is kept and
the request applied to it; a pod of which only patches are known is evidence as soon as they say its address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from ingest.cluster.audit.object_state import (
    SECOND,
    Key,
    LoggedObject,
    Write,
    answered,
    loaded,
    mark_deleted,
    says_address,
    uid_of,
    updated,
)
from ingest.cluster.audit.patches import PatchError, Thing, patched
from ingest.cluster.audit.selectors import selects
from whowas.observation import KubeObject, Meta, Observation, Spec
from whowas.timestamps import rfc3339

# Sights of an object without a UID that are kept until somebody says it.
ASIDE = 32
DECODE = msgspec.json.Decoder(KubeObject)


@dataclass
class Replay:
    """All objects that the log has told of and that stand. unresolved: sights whose UID nobody ever said."""

    annotations: frozenset[str] = frozenset()
    cluster: str | None = None
    known: dict[Key, LoggedObject] = field(default_factory=dict)
    unresolved: int = 0
    unnamed: int = 0
    unfit: int = 0
    hidden: set[Key] = field(default_factory=set)
    hidden_from: int = 0

    def observe(self, write: Write) -> Iterator[Observation]:
        """Yield what a write shows. Writes of one object come in their order."""
        if write.kind == "Lease":
            yield from self._clock(write)
        elif write.verb == "deletecollection":
            yield from self._delete_many(write)
        elif not write.name:
            self.unnamed += 1
        elif write.verb == "delete" or write.subresource == "eviction":
            yield from self._delete(write, answered(write)[0])
        elif write.subresource == "binding":
            yield from self._bind(write)
        elif write.made:
            yield from self._create(write)
        else:
            yield from self._change(write)

    def finish(self, at_us: int, source: str) -> Iterator[Observation]:
        """Yield what is left to say at the end of the log."""
        self.unresolved += sum(len(one.aside) for one in self.known.values())
        if self.hidden:
            yield self._gap(at_us, source)

    def _clock(self, write: Write) -> Iterator[Observation]:
        """A node renews its Lease by its own clock."""
        body = loaded(write.request) or loaded(write.response)
        spec = body.get("spec") if isinstance(body, dict) else None
        renewed = spec.get("renewTime") if isinstance(spec, dict) else None
        if isinstance(renewed, str) and write.namespace == "kube-node-lease":
            thing = KubeObject(kind="Node", metadata=Meta(name=write.name), spec=Spec(renewTime=renewed))
            yield Observation("CLOCK", thing, write.at_us, write.at_us, self.cluster, write.source)

    def _create(self, write: Write) -> Iterator[Observation]:
        answer, brief = answered(write)
        if (body := answer or loaded(write.request)) is None:
            self._forget(write.key())
            return
        if not answer and write.kind == "Pod":
            body.pop("status", None)
        one = self._begin(write, LoggedObject(body | brief, whole=True))
        if write.kind == "Pod":
            meta = one.meta()
            meta["creationTimestamp"] = meta.get("creationTimestamp") or rfc3339(write.asked_us // SECOND * SECOND)
        yield from self._tell(one, write, "ADDED")

    def _begin(self, write: Write, one: LoggedObject) -> LoggedObject:
        """Keep a new object in the place of one of the same name."""
        self._forget(write.key())
        self.known[write.key()] = one
        return one

    def _forget(self, key: Key) -> None:
        old = self.known.pop(key, None)
        self.unresolved += len(old.aside) if old else 0

    def _of(self, write: Write, uid: str) -> LoggedObject:
        """Return what is known under this name; nothing when the UID says that it is another object by now."""
        one = self.known.get(write.key())
        if one is None or (uid and one.uid and one.uid != uid):
            one = self._begin(write, LoggedObject({}))
        return one

    def _change(self, write: Write) -> Iterator[Observation]:
        """An update or a patch of an object or of its status."""
        (answer, brief), asked = answered(write), loaded(write.request)
        one = self._of(write, uid_of(answer or brief) or uid_of(asked) or write.uid)
        if answer is not None:
            one.thing, one.whole = answer, True
        elif asked is None:
            self._hide(one, write)
            return
        elif write.verb == "update":
            one.thing, one.whole = updated(one, asked, write.subresource), True
        else:
            try:
                one.thing = patched(one.thing, asked, self.annotations)
            except (PatchError, RecursionError):
                self.unfit += 1
                self._hide(one, write)
                return
            one.addressed = one.addressed or says_address(asked)
        if answer is None:
            one.meta().pop("resourceVersion", None)
            one.thing = one.thing | brief
        yield from self._tell(one, write, "DELETED" if one.gone(write.kind) else "MODIFIED")

    def _bind(self, write: Write) -> Iterator[Observation]:
        """The scheduler's word: the node, and that the pod was placed, by the apiserver's clock."""
        asked = loaded(write.request)
        target = asked.get("target") if isinstance(asked, dict) else None
        node = target.get("name") if isinstance(target, dict) else None
        if not isinstance(node, str):
            return
        one = self._of(write, uid_of(asked) or write.uid)
        at = rfc3339(write.asked_us // SECOND * SECOND)
        placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": at}
        one.thing = patched(
            one.thing, {"spec": {"nodeName": node}, "status": {"conditions": [placed]}}, self.annotations
        )
        one.uid = one.uid or uid_of(asked)
        one.meta().pop("resourceVersion", None)
        yield from self._tell(one, write, "MODIFIED")

    def _delete(self, write: Write, answer: Thing | None) -> Iterator[Observation]:
        """A deletion begins, or is over: the answer tells, else the grace period and who asked."""
        options = loaded(write.request)
        options = options if isinstance(options, dict) else {}
        options = options.get("deleteOptions", options) if write.subresource == "eviction" else options
        options = options if isinstance(options, dict) else {}
        if answer is None:
            wanted = options.get("preconditions")
            uid = wanted.get("uid") if isinstance(wanted, dict) else None
            one = self.known.get(write.key())
            if one is None or (uid and one.uid and uid != one.uid):
                return
            one.uid = one.uid or (uid if isinstance(uid, str) else "")
            mark_deleted(one, write, options)
            over = one.gone(write.kind)
        else:
            one = self.known.get(write.key(), LoggedObject({}))
            if one.uid and one.uid != uid_of(answer):
                one = LoggedObject({})  # a later object has taken the name
            one.thing, one.whole = answer, True
            over = one.gone(write.kind) or not one.meta().get("deletionTimestamp")
        yield from self._tell(one, write, "DELETED" if over else "MODIFIED")

    def _delete_many(self, write: Write) -> Iterator[Observation]:
        """The answer lists what was deleted; else it is what is known there and fits the selectors."""
        answer = loaded(write.response)
        items = answer.get("items") if isinstance(answer, dict) else None
        if isinstance(items, list):
            for thing in items:
                single = msgspec.structs.replace(write, name=str((thing.get("metadata") or {}).get("name", "")))
                one = self._of(single, uid_of(thing))
                one.thing, one.whole, one.uid = thing, True, uid_of(thing) or one.uid
                yield from self._delete(single, None)
            return
        if not write.uri:
            return
        for kind, space, name in list(self.known):
            one = self.known[kind, space, name]
            if kind != write.kind or (write.namespace and space != write.namespace) or not one.whole:
                continue
            if selects(write.uri, one.thing):
                yield from self._delete(msgspec.structs.replace(write, namespace=space, name=name), None)

    def _tell(self, one: LoggedObject, write: Write, verb: str) -> Iterator[Observation]:
        """Yield the object as it is now, once its UID is known; all that was kept aside for it comes first."""
        meta = one.meta()
        meta["name"], meta["namespace"] = write.name, write.namespace
        one.uid = uid_of(one.thing) or one.uid or write.uid
        if one.whole or verb == "DELETED":
            yield from self._seen(write)
        thing = self._object(one, write) if one.telling(write.kind) else None
        if thing is not None:
            one.aside.append(Observation(verb, thing, write.at_us, write.at_us, self.cluster, write.source))
            if one.uid:
                for late in one.aside:
                    assert late.object.metadata is not None
                    late.object.metadata.uid = one.uid
                yield from one.aside
                one.aside = []
            elif len(one.aside) > ASIDE:
                self.unresolved += 1
                del one.aside[0]
        if verb == "DELETED" and self.known.get(write.key()) is one:
            self._forget(write.key())

    def _object(self, one: LoggedObject, write: Write) -> KubeObject | None:
        """Return what is read of the object; None where a field is of a type that no apiserver sends."""
        one.thing["kind"] = write.kind
        try:
            return DECODE.decode(msgspec.json.encode(one.thing))
        except (msgspec.DecodeError, RecursionError):
            self.unfit += 1
            return None

    def _hide(self, one: LoggedObject, write: Write) -> None:
        """What a kubelet said of a pod was not logged: from here on nobody knows what holds of it."""
        if write.kind == "Pod" and write.subresource == "status":
            one.whole = one.addressed = False
            if not self.hidden:
                self.hidden_from = write.asked_us
            self.hidden.add(write.key())

    def _seen(self, write: Write) -> Iterator[Observation]:
        if write.key() in self.hidden:
            self.hidden.discard(write.key())
            if not self.hidden:
                yield self._gap(write.at_us, write.source)

    def _gap(self, until: int, source: str) -> Observation:
        span = (self.hidden_from, max(until, self.hidden_from))
        return Observation("GAP", KubeObject(kind="Pod"), until, until, self.cluster, source, span)
