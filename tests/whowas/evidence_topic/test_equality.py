"""A replica says what the store says that told it, whenever the telling began."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from support.evidence_topic.telling import events, messages, tell, telling, write
from support.store.observations import observations
from support.store.streams import fresh_view, merged, mixed, recording, view
from support.store.written import seen, thing

from enrich.history.stored import StoredHistory
from enrich.store.verify import problems
from whowas.observation import Observation

SEEDS = st.integers(0, 1 << 20)
FEW = settings(max_examples=int(os.environ.get("WHOWAS_STORE_EXAMPLES", "4")), deadline=None)


@given(SEEDS, st.sampled_from([0.0, 0.3, 0.8, 1.1]))
@FEW
def test_a_replica_says_what_its_store_says(seed: int, begin_at: float) -> None:
    one, two = recording(seed, "one"), recording(seed + 1, "two")
    with tempfile.TemporaryDirectory() as folder:
        path, copy = Path(folder) / "store", Path(folder) / "copy"
        write(path, mixed(one, two), seed, begin_at)
        assert fresh_view(path) == merged(one.history(), two.history())
        tell(copy, messages(path), seed)
        assert fresh_view(copy) == fresh_view(path)
        assert list(problems(str(copy))) == []


@given(SEEDS)
@FEW
def test_a_replica_has_the_very_events_of_its_store(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, copy = Path(folder) / "store", Path(folder) / "copy"
        store = telling(path)
        assert store.outbox is not None
        store.outbox.begin()
        for one in recording(seed).told:
            store.write([one])
        store.close()
        tell(copy, messages(path), seed=-1)
        theirs = events(copy)
        assert theirs
        # What the replica packed away is not among them.
        assert all(events(path)[key] == told for key, told in theirs.items())


@given(SEEDS)
@FEW
def test_a_reader_that_follows_a_replica_knows_what_a_new_reader_of_the_store_knows(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, copy = Path(folder) / "store", Path(folder) / "copy"
        write(path, recording(seed).told, seed, 0.4)
        told = list(messages(path))
        tell(copy, iter(told[:1]))
        following = StoredHistory(copy)
        for number in range(1, len(told)):
            tell(copy, iter(told[number : number + 1]))
            if number % 7 == 0:
                following.refresh()
        following.refresh()
        assert view(following.history) == fresh_view(path)
        following.close()


@given(st.lists(observations(), max_size=12))
@settings(max_examples=40, deadline=None)
def test_whatever_a_store_takes_a_replica_takes(told: list[Observation]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, copy = Path(folder) / "store", Path(folder) / "copy"
        with telling(path) as store:
            assert store.outbox is not None
            store.outbox.begin()
            for one in told:
                store.write([one])
            store.write([seen("ADDED", thing("sound"), 1, cluster="c")])
        tell(copy, messages(path))
        # Of a cluster without a single holder the name may stay untold.
        own, theirs = (
            {name: known for name, known in fresh_view(one).items() if known != ([], {})} for one in (path, copy)
        )
        assert own == theirs
        assert list(problems(str(copy))) == []
