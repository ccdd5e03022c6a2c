"""A store that grows: verdicts of a stream follow, and equal those of reading all anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.mesh_story import story
from support.policy_story import conn, evidence

import whowas
from enrich.store.evidence_store import EvidenceStore
from ingest.cluster import EvidenceReport, read_observations
from whowas.policy.following import GIVEN_UP_US, StoredTimelines, known_until
from whowas.policy.loading import load
from whowas.schema import flow_schema
from whowas.settings import HistorySettings, Naming
from whowas.streaming.history_follower import HistoryFollower
from whowas.timestamps import moment_us


@pytest.mark.parametrize(("told_of", "policies", "mesh"), [(evidence, 3, 0), (story, 0, 2)])
def test_a_store_is_followed_and_says_what_reading_it_anew_says(
    told_of: Callable[[Path], Path], policies: int, mesh: int, tmp_path: Path
) -> None:
    seen = list(read_observations([str(told_of(tmp_path))], None, EvidenceReport()))
    store = str(tmp_path / "s.db")
    followed = None
    with EvidenceStore(store, write=True) as writing:
        for low in range(0, len(seen), 37):
            writing.write(seen[low : low + 37])
            followed = followed or StoredTimelines(store)
            followed.refresh()
            anew = load(store).timelines
            assert followed.timelines.keys() == anew.keys()
            for name, one in followed.timelines.items():
                assert (one.watched, one.late) == (anew[name].watched, anew[name].late)
                assert one.mesh_watched == anew[name].mesh_watched
                for what in ("policies", "namespaces", "pods", "mesh"):
                    mine, theirs = getattr(one, what), getattr(anew[name], what)
                    assert mine.keys() == theirs.keys()
                    told = [(line.low, line.high, list(map(repr, line.values))) for line in mine.values()]
                    assert told == [(line.low, line.high, list(map(repr, line.values))) for line in theirs.values()]
    assert followed is not None
    assert len(followed.timelines["prod"].policies) == policies
    assert len(followed.timelines["prod"].mesh) == mesh


def test_a_stream_judges_by_what_it_follows(tmp_path: Path) -> None:
    seen = list(read_observations([str(evidence(tmp_path))], None, EvidenceReport()))
    before = [one for one in seen if one.object.metadata is None or one.object.metadata.name != "deny-all"]
    late = [one for one in seen if one not in before]
    (tmp_path / "conn.log").write_text(conn(90, "shop/web-1", "data/cache-0", 6379))
    flows = whowas.replay(tmp_path / "conn.log", tmp_path / "history.jsonl", cluster="prod")
    batch = flows.select(flow_schema().names).cast(flow_schema()).combine_chunks().to_batches()[0]
    with EvidenceStore(str(tmp_path / "s.db"), write=True) as writing:
        writing.write(before)
        known = HistoryFollower(HistorySettings(str(tmp_path / "s.db"), refresh_seconds=0), Naming())
        assert known.name([batch])[0]["policy_verdict"].to_pylist() == ["open"]
        writing.write(late)
        assert known.refresh()
    assert known.name([batch])[0]["policy_verdict"].to_pylist() == ["denied"]
    known.close()


def test_a_stream_tells_ids_and_modes(tmp_path: Path) -> None:
    seen = list(read_observations([str(story(tmp_path))], None, EvidenceReport()))
    before = [one for one in seen if one.object.kind != "PeerAuthentication" or one.verb != "ADDED"]
    late = [one for one in seen if one not in before]
    (tmp_path / "conn.log").write_text(conn(100, "shop/web-1", "data/db-0", 5432))
    flows = whowas.replay(tmp_path / "conn.log", tmp_path / "history.jsonl", cluster="prod")
    batch = flows.select(flow_schema().names).cast(flow_schema()).combine_chunks().to_batches()[0]
    naming = Naming(identities=str(tmp_path / "identities.toml"))
    with EvidenceStore(str(tmp_path / "s.db"), write=True) as writing:
        writing.write(before)
        known = HistoryFollower(HistorySettings(str(tmp_path / "s.db"), refresh_seconds=0), naming)
        assert known.name([batch])[0]["mtls_mode"].to_pylist() == ["permissive"]
        writing.write(late)
        assert known.refresh()
    (row,) = known.name([batch])[0].to_pylist()
    assert (row["mtls_mode"], row["src_spiffe_id"]) == ("strict", "spiffe://corp.example/ns/shop/sa/web")
    timeline = load(str(tmp_path / "s.db")).timeline("prod")
    last = timeline.mesh_watched["PeerAuthentication"][-1][1]
    assert known_until(timeline, last + 10**7, mesh=True) == last - 10**6
    assert known_until(timeline, last + 10**7) == last + 10**7
    known.close()


def test_names_wait_for_policies_that_somebody_watches(tmp_path: Path) -> None:
    timeline = load(str(evidence(tmp_path))).timeline("prod")
    last = timeline.watched[-1][1]
    assert known_until(timeline, last + 10**7) == last - 10**6
    assert known_until(timeline, last - 10**7) == last - 10**7
    assert known_until(timeline, last + 2 * GIVEN_UP_US) == last + 2 * GIVEN_UP_US
    assert last >= moment_us("2026-11-20T11:59:00Z")
