"""Observations made at random."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st
from support.store.written import T0

from whowas.observation import KubeObject, Observation

FAR = 253_402_300_799_999_999
TEXT = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["10.0.0.1", "fd00::1", "\ud800", "2026-11-20T10:00:00Z"]
)
TIMES = st.none() | st.integers(-(1 << 66), 1 << 66) | st.integers(T0, T0 + 10**8) | st.sampled_from([0, -1, FAR])
VERBS = st.sampled_from(
    ["ADDED", "MODIFIED", "DELETED", "LISTED", "VANISHED", "JOINED", "LEFT", "CLOCK", "BOOKMARK", "RELISTED", "GAP",
     "WATCHED", "START", "ERROR", ""]
)  # fmt: skip
KINDS = st.sampled_from(["Pod", "Service", "Node", "EndpointSlice", "ReplicaSet", "Lease", "Gadget", ""])
UIDS = st.sampled_from(["a", "b", "c", "d/e f", ""]) | TEXT


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Anything at all that has the form of an observation."""
    words = draw(st.lists(TEXT, min_size=4, max_size=4))
    made = {
        "kind": draw(KINDS),
        "metadata": {
            "uid": draw(UIDS), "name": words[0], "namespace": words[1], "resourceVersion": draw(TEXT | st.just("5")),
            "labels": {"kubernetes.io/service-name": words[2], words[3]: words[0]},
            "ownerReferences": [{"kind": words[1], "uid": draw(UIDS), "name": words[2], "controller": True}],
            "creationTimestamp": words[2],
        },
        "spec": {"nodeName": words[2], "renewTime": words[1], "clusterIP": words[3], "podCIDR": words[0]},
        "status": {"phase": words[0], "podIP": draw(TEXT), "startTime": words[1]},
        "endpoints": [{"targetRef": {"uid": uid}} for uid in draw(st.lists(UIDS, max_size=3))],
    }  # fmt: skip
    times = draw(st.none() | st.tuples(st.integers(-(1 << 65), 1 << 65), st.integers(-(1 << 65), 1 << 65)))
    return Observation(
        draw(VERBS), msgspec.convert(made, KubeObject), draw(TIMES), draw(TIMES) or 0,
        draw(st.sampled_from([None, "c", "d"]) | TEXT), "", times, draw(TEXT),
    )  # fmt: skip
