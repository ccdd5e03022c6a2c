"""Any bytes and any JSON as evidence, and JSON with one place changed: for tests that fuzz readers."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from support.cluster.written import AT

from enrich import History
from enrich.naming.who import timeline, who_at
from ingest.cluster import EvidenceReport, read_observations
from whowas.errors import InputError
from whowas.history.queries import load_history
from whowas.observation import Observation, time_us

IP = "10.244.1.5"
MOMENT = time_us(AT) or 0
WORDS = st.sampled_from(
    ("", "a", IP, f"{IP}/32", "::1", AT, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-13-40T00:00:00Z")
    + ("True", "Failed", "Pod", "7", "uid-a", "fe80::1%eth0", "999.1.1.1")
)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    WORDS,
    st.text(max_size=8),
)


@contextmanager
def written(data: bytes) -> Iterator[str]:
    """A file with these bytes; hypothesis runs a test many times, so no fixture serves."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "evidence"
        path.write_bytes(data)
        yield str(path)


def read(data: bytes) -> tuple[list[Observation], EvidenceReport]:
    report = EvidenceReport()
    with written(data) as path:
        found = list(read_observations([path], None, report))
    assert found[0].verb == "START"
    # A slice in it begins anew, and says nothing itself.
    return [one for one in found if one.verb != "START"], report


def load(data: bytes) -> History | None:
    """Read, derive and ask: every step must bear what the step before let through. None: nothing in it is evidence."""
    with written(data) as path:
        try:
            known = load_history(path)
        except InputError:
            return None
    for name in known.clusters:
        timeline(known, IP, name)
    if len(known.clusters) == 1:
        who_at(known, IP, MOMENT)
    return known


ANY = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=6), inner, max_size=3)
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for name, one in inner for found in places(one, (*path, name)))]


def changed(whole: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The same value with something else in one place."""
    if not path:
        return value
    made = copy.deepcopy(whole)
    at = made
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return made
