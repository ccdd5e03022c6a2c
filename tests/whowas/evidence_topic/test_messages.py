"""Whatever a writer is given comes out of a topic's message as it went in."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from support.store.written import seen, thing

from enrich.store.encoding import EARLIEST, LATEST, MEMBERS
from ingest.cluster.evidence.messages import PACKED_MOST, from_message, to_messages
from whowas.errors import InputError
from whowas.observation import (
    Address,
    Condition,
    Container,
    KubeObject,
    Meta,
    Observation,
    Owner,
    Port,
    Spec,
    Status,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SOME = st.none() | TEXT
TIMES = st.integers(EARLIEST, LATEST)
LABELS = st.none() | st.dictionaries(TEXT, TEXT, max_size=3)
OWNERS = st.none() | st.lists(st.builds(Owner, TEXT, TEXT, TEXT, st.none() | st.booleans()), max_size=2)
METAS = st.builds(
    Meta, name=TEXT, namespace=TEXT, uid=TEXT.filter(bool), resourceVersion=SOME, creationTimestamp=SOME,
    deletionTimestamp=SOME, labels=LABELS, ownerReferences=OWNERS,
)  # fmt: skip
PORTS = st.lists(st.builds(Port, name=SOME, protocol=SOME, port=st.none() | st.integers(0, 1 << 40)), max_size=2)
SPECS = st.builds(
    Spec, nodeName=SOME, clusterIP=SOME, renewTime=SOME, ports=st.none() | PORTS,
    containers=st.none() | st.lists(st.builds(Container, image=SOME, ports=PORTS), max_size=2),
)  # fmt: skip
STATUSES = st.builds(
    Status, phase=SOME, podIP=SOME, startTime=SOME,
    podIPs=st.none() | st.lists(st.builds(Address, ip=TEXT), max_size=2),
    conditions=st.none() | st.lists(st.builds(Condition, type=TEXT, status=SOME, lastTransitionTime=SOME), max_size=2),
)  # fmt: skip
THINGS = st.builds(
    KubeObject, kind=st.sampled_from(["Pod", "Service", "Node", "ReplicaSet", "Namespace", "NetworkPolicy"]),
    metadata=METAS, spec=st.none() | SPECS, status=st.none() | STATUSES,
)  # fmt: skip


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """One of any verb that changes leave behind."""
    verb = draw(st.sampled_from(["ADDED", "MODIFIED", "DELETED", "LISTED", "VANISHED", *MEMBERS, "SPAN", "OFFSET"]))
    cluster = draw(TEXT.filter(bool))
    if verb == "SPAN":
        low, high = sorted((draw(TIMES), draw(TIMES)))
        word = draw(st.sampled_from(["WATCHED", "GAP", "LATE"]))
        about = KubeObject(kind=draw(st.sampled_from(["", "Pod"])))
        return Observation(word, about, high, high, cluster, "", (low, high))
    if verb == "OFFSET":
        node = KubeObject("Node", Meta(name=draw(TEXT)))
        off = (draw(st.integers(0, 1 << 50)), draw(st.integers(0, 1 << 50)))
        return Observation(verb, node, None, 0, cluster, "", off, draw(st.sampled_from(["pods", "lease"])))
    received = draw(TIMES if verb in MEMBERS else st.none() | TIMES)
    service = draw(TEXT.filter(bool)) if verb in MEMBERS else ""
    return Observation(verb, draw(THINGS), received, draw(TIMES), cluster, "", service=service)


@given(st.lists(observations(), max_size=5))
def test_every_word_comes_back_as_it_was(told: list[Observation]) -> None:
    refused: Counter[str] = Counter()
    found = [one for message in to_messages(told) for one in from_message(message, "x", refused)]
    assert [one._replace(source="") for one in found] == told
    assert not refused


def test_what_is_large_becomes_several_messages_in_order() -> None:
    """Text that packs badly: as much of it as three messages take."""
    import random

    dice = random.Random(1)
    labels = [{"labels": {"x": dice.randbytes(60_000).hex()}} for _ in range(60)]
    told = [seen("ADDED", thing(f"pod-{number}", meta=more), number) for number, more in enumerate(labels)]
    messages = to_messages(told)
    assert len(messages) > 3
    assert all(len(one) <= PACKED_MOST for one in messages)
    assert [one._replace(source="") for each in messages for one in from_message(each, "x", Counter())] == told


@pytest.mark.parametrize(
    "message", [b"", b"\0", b'{"type":"EVIDENCE","format":1}', zstandard.compress(b"hello"), zstandard.compress(b"{}")]
)
def test_what_is_no_evidence_is_refused(message: bytes) -> None:
    with pytest.raises(InputError, match="cannot read message 7: it is no message of evidence"):
        from_message(message, "message 7", Counter())


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(InputError, match="update whowas"):
        from_message(zstandard.compress(b'{"type":"EVIDENCE","format":2}\n'), "message 7", Counter())


def test_an_odd_line_costs_that_line() -> None:
    refused: Counter[str] = Counter()
    good = b'{"type":"DELETED","received":"2026-11-20T10:00:00Z","object":{"kind":"Pod","metadata":{"uid":"u"}}}'
    lines: list[Any] = [b'{"type":"EVIDENCE","format":1}', b"{", good, b'{"type":"ODD"}']
    found = from_message(zstandard.compress(b"\n".join(lines)), "x", refused)
    assert [one.verb for one in found] == ["DELETED"]
    assert refused == {"broken_json": 1, "no_evidence": 1}
