"""What a namer remembers from batch to batch, and from one state of a history to the next, changes no name."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cluster_story import Story, batch, complete, flow, live

from enrich import History, Namer
from enrich.history.stored import StoredHistory
from enrich.naming import name_columns
from enrich.naming.dictionary_columns import Pointers, Remembered
from enrich.naming.interning import Interner
from enrich.naming.networks import OutsideAddresses, Ranges, load_networks
from enrich.store.evidence_store import EvidenceStore
from ingest.cluster import EvidenceReport, read_observations
from whowas.schema import named_schema, plain

IPS = [f"10.244.1.{number}" for number in range(1, 9)]
OUTSIDE = ["203.0.113.9", "8.8.8.8", "192.168.77.1", "2001:db8::7"]


def traffic(seed: int) -> Any:
    dice = random.Random(seed)
    ends = [*IPS, *OUTSIDE]
    return batch(*(flow(dice.choice(ends), dice.choice(ends), dice.uniform(-50, 400)) for _ in range(60)))


def churn(until: float) -> Story:
    """Pods that come and go on eight addresses, labels that change, told up to a time."""
    dice = random.Random(5)
    story = Story(until=until)
    for number, ip in enumerate(IPS):
        born = 0.0
        while born < until:
            pod = live(story, f"pod-{number}-{born:.0f}", ip, born=born, labels={"app": f"a{number}", "of": f"{born}"})
            if born + 60 < until:
                pod.labels = {"app": f"a{number}", "step": dice.choice(["one", "two"])}
                story.tell(born + 30, "MODIFIED", pod)
                complete(story, pod, finished=born + 50, told=born + 51)
                story.tell(born + 55, "DELETED", pod)
            born += dice.choice([60, 70, 120])
    return story


def rows(namer: Namer, seed: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = namer.name(traffic(seed)).to_pylist()
    return found


def test_batches_before_change_no_name_of_a_batch() -> None:
    known = churn(300).history()
    namer = Namer(known)
    for seed in range(6):
        assert rows(namer, seed) == rows(Namer(known), seed)


def test_what_overflows_its_bound_is_found_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    known = churn(300).history()
    monkeypatch.setattr(name_columns, "ANSWERS_CACHED", 3)
    monkeypatch.setattr(OutsideAddresses, "CACHED", 2)
    namer = Namer(known)
    for seed in range(6):
        assert rows(namer, seed) == rows(Namer(known), seed)


def test_a_namer_of_a_grown_history_has_no_name_of_before(tmp_path: Path) -> None:
    """A store is followed while it is written: what its first namer knew is handed on, and nothing stale with it."""
    path, store = tmp_path / "evidence.jsonl", tmp_path / "store.db"
    lines = sorted(churn(300).lines(), key=lambda line: str(json.loads(line)["received"]))
    written = EvidenceStore(store, write=True)
    followed, namer, changed, done = None, None, 0, 0
    for part in range(1, 7):
        upto = len(lines) * part // 6
        path.write_text("".join(f"{line}\n" for line in lines[done:upto]))
        done = upto
        written.write(list(read_observations([str(path)], None, EvidenceReport(), None)))
        followed = followed or StoredHistory(store)
        followed.refresh()
        before = [] if namer is None else rows(namer, part)
        namer = Namer(followed.history, before=namer)
        changed += before != rows(namer, part)
        assert rows(namer, part) == rows(Namer(followed.history), part)
    assert changed > 2, "the history did not grow in what was asked"
    written.close()
    assert followed is not None
    followed.close()


def test_other_ranges_are_not_taken_over_from_before(tmp_path: Path) -> None:
    known = churn(100).history()
    first = Namer(known)
    rows(first, 1)
    path = tmp_path / "networks.toml"
    path.write_text('[networks]\nresolver = ["8.8.8.0/24"]\n')
    told = columns_of(known, load_networks(str(path)), first)
    assert "resolver" in told
    assert told == columns_of(known, load_networks(str(path)), None)


def columns_of(known: History, networks: Any, before: Namer | None) -> list[Any]:
    from enrich import NamingOptions

    namer = Namer(known, NamingOptions(networks=networks), before=before)
    found: list[Any] = namer.name(batch(flow(IPS[0], "8.8.8.8", 50))).to_pylist()[0]["dst_workload"].split()
    return found


def test_vnis_that_were_seen_stay_seen() -> None:
    known = churn(100).history()
    first = Namer(known)
    assert confidence(first, 1) in ("exact", "likely")
    assert confidence(Namer(known, before=first), 2) == "ambiguous"


def confidence(namer: Namer, vni: int) -> str:
    return str(namer.name(batch(flow(IPS[0], IPS[1], 20, vni=vni))).to_pylist()[0]["src_confidence"])


def test_named_flows_are_as_their_schema_says() -> None:
    named = Namer(churn(100).history()).name(traffic(1))
    assert named.schema.equals(named_schema())
    named.validate(full=True)
    assert plain(named).to_pylist() == named.to_pylist()


@given(st.lists(st.lists(st.tuples(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1)), max_size=40), max_size=8))
def test_numbers_are_those_of_a_dictionary(batches: list[list[tuple[int, int]]]) -> None:
    numbered, known = Interner(), dict[tuple[int, int], int]()
    for asked in batches:
        high, low = (np.array([one[side] for one in asked], dtype=np.int64) for side in (0, 1))
        assert numbered.find(high, low).tolist() == [known.get(one, -1) for one in asked]
        fresh = [one for one in dict.fromkeys(asked) if one not in known]
        known |= {one: len(known) + place for place, one in enumerate(fresh)}
        numbered.add(*(np.array([one[side] for one in fresh], dtype=np.int64) for side in (0, 1)))
        assert numbered.find(high, low).tolist() == [known[one] for one in asked]


def test_many_keys_are_found_after_the_table_has_grown() -> None:
    numbered, random_ = Interner(), np.random.default_rng(1)
    keys = np.unique(random_.integers(-(2**62), 2**62, 30_000))
    for part in np.array_split(keys, 40):
        numbered.add(part, -part)
    assert (numbered.find(keys, -keys) == np.arange(len(keys))).all()
    assert (numbered.find(keys, keys) == -1).all()


@given(st.lists(st.lists(st.sampled_from([None, "", "a", "b", "ü", *map(str, range(40))]), min_size=1), max_size=9))
def test_a_column_of_remembered_words_says_what_was_said(batches: list[list[str | None]]) -> None:
    words = Remembered(pa.string())
    for said in batches:
        numbers = np.array([words.number(word) for word in said], dtype=np.int32)
        own = np.array([place % len(said) for place in range(2 * len(said) + 3)], dtype=np.int32)
        column = words.column(numbers, Pointers(own))
        column.validate(full=True)
        assert column.to_pylist() == [said[place] for place in own]
        assert sorted(column.dictionary.to_pylist()) == sorted({word for word in said if word is not None})


def test_ranges_are_told_by_the_longest_prefix_and_the_users_first(tmp_path: Path) -> None:
    path = tmp_path / "networks.toml"
    office = 'office = ["198.51.100.0/24", "2001:db8::/32"]'
    path.write_text(f'[networks]\n{office}\ndesk = "198.51.100.7/32"\nmine = "169.254.169.254/32"\n')
    ranges = Ranges(load_networks(str(path)), ("10.244.0.0/16", "nonsense"))

    def what(ip: str) -> tuple[str, str]:
        return ranges.what(batch(flow(ip, ip, 0))["src_ip16"][0].as_py())

    assert what("198.51.100.7") == ("external", "desk")
    assert what("198.51.100.8") == ("external", "office")
    assert what("2001:db8::1") == ("external", "office")
    assert what("169.254.169.254") == ("external", "mine")
    assert what("169.254.1.1") == ("external", "link-local")
    assert what("10.244.9.9") == ("inside", "")
    assert what("10.245.9.9") == ("private", "")
    assert what("9.9.9.9") == ("external", "")
