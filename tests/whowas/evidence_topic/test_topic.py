"""Evidence from a store through a real topic into replicas, whatever befalls the broker, the topic and the stores."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from support.evidence_topic.teller import Teller, caught_up, wait_for
from support.servers.broker import Broker
from support.store.streams import fresh_view, merged, recording, view
from support.store.written import numbered

from enrich.history.stored import StoredHistory
from enrich.store.evidence_store import EvidenceStore
from enrich.store.info import facts
from enrich.store.packing import pack
from enrich.store.prune import prune
from ingest.kafka.log import open_log
from whowas.errors import StoreError
from whowas.evidence_topic import Replica, TopicSettings
from whowas.evidence_topic.settings import message_of
from whowas.observation import Observation


def cut(told: list[Observation], near: int) -> int:
    """A place that lies in no list: who comes back in the middle of one lists again."""
    return next(place for place in range(near, len(told)) if told[place - 1].verb != "LISTED")


def test_a_replica_knows_what_the_store_knows(settings: TopicSettings, tmp_path: Path) -> None:
    path, copy, made = tmp_path / "store", tmp_path / "copy", recording(1)
    with Teller(path, settings) as teller:
        teller.tell(made.told[:300])
        teller.settle()
        with Replica(str(copy), settings) as replica:
            assert replica.wait_ready(20), replica.unready()
            following = StoredHistory(copy)
            teller.tell(made.told[300:])
            teller.settle()
            end = fresh_view(path)
            wait_for(lambda: following.refresh() and view(following.history) == end, replica.vitals)
            following.close()
        assert (teller.now().state, teller.now().warning) == ("publishing", "")
    assert fresh_view(copy) == merged(made.history())
    told = facts(str(copy)).replica
    assert told is not None
    assert (told.topic, told.origins[0].live) == (settings.topic, True)


def test_a_store_that_has_history_tells_all_of_it_first(settings: TopicSettings, tmp_path: Path) -> None:
    path, copy, made = tmp_path / "store", tmp_path / "copy", recording(2)
    with EvidenceStore(path, write=True) as store:
        half = cut(made.told, 150)
        store.write(made.told[:half])
        pack(store.database, settled_us=0)
    with Teller(path, settings) as teller:
        teller.tell(made.told[half:])
        teller.settle()
    caught_up(copy, settings)
    assert fresh_view(copy) == fresh_view(path) == merged(made.history())


@pytest.mark.long
def test_a_broker_that_is_away_stops_no_recording_and_loses_nothing(client: str, tmp_path: Path) -> None:
    made = recording(3)
    with Broker() as broker:
        settings = TopicSettings("evidence", client, broker.options())
        with Teller(tmp_path / "store", settings) as teller, Replica(str(tmp_path / "copy"), settings) as replica:
            third = len(made.told) // 3
            teller.tell(made.told[:third])
            teller.settle()
            broker.server.kill()
            teller.tell(made.told[third : 2 * third])
            wait_for(lambda: teller.writer.written.total() == 2 * third, teller.writer.vitals)
            wait_for(lambda: teller.now().state == "failing", teller.now)
            assert teller.now().waiting > 0
            assert teller.now().unready()
            broker.server.start(60)
            teller.tell(made.told[2 * third :])
            teller.settle(60)
            assert teller.now().overflows == 0
            end = fresh_view(tmp_path / "store")
            wait_for(lambda: fresh_view(tmp_path / "copy") == end, replica.vitals)
            assert replica.vitals().rebuilt == 0


@pytest.mark.long
def test_too_much_that_waits_is_dropped_and_all_is_told_anew(client: str, tmp_path: Path) -> None:
    made = recording(4)
    with Broker() as broker:
        settings = TopicSettings("evidence", client, broker.options())
        with (
            Teller(tmp_path / "store", settings, most=5_000) as teller,
            Replica(str(tmp_path / "copy"), settings) as replica,
        ):
            teller.tell(made.told[:100])
            teller.settle()
            assert replica.wait_ready(20)
            broker.server.kill()
            teller.tell(made.told[100:])
            wait_for(lambda: teller.now().overflows, teller.now)
            broker.server.start(60)
            teller.settle(60)
            assert teller.now().epochs == teller.now().overflows + 1
            end = fresh_view(tmp_path / "store")
            wait_for(lambda: fresh_view(tmp_path / "copy") == end, replica.vitals)
            assert replica.vitals().rebuilt
            assert not replica.unready()


def test_two_stores_share_a_topic(settings: TopicSettings, tmp_path: Path) -> None:
    one, two = recording(5, "one"), recording(6, "two")
    with Teller(tmp_path / "1", settings) as first, Teller(tmp_path / "2", settings) as second:
        for low in range(0, 600, 50):
            first.tell(one.told[low : low + 50])
            second.tell(two.told[low : low + 50])
        first.tell(one.told[600:])
        second.tell(two.told[600:])
        first.settle()
        second.settle()
    caught_up(tmp_path / "copy", settings)
    assert fresh_view(tmp_path / "copy") == merged(one.history(), two.history())


def test_a_store_brought_back_from_a_copy_tells_all_anew(settings: TopicSettings, tmp_path: Path) -> None:
    """Its numbers go back; what it says under them now must not be taken for what it said before."""
    path, made = tmp_path / "store", recording(7)
    with Teller(path, settings) as teller:
        teller.tell(made.told[: cut(made.told, 200)])
        teller.settle()
    EvidenceStore(path, write=True).close()  # so that all is in one file
    shutil.copy(path, tmp_path / "older")
    with Teller(path, settings) as teller:
        teller.tell(made.told[cut(made.told, 200) :])
        teller.settle()
    caught_up(tmp_path / "copy", settings)
    with Teller(tmp_path / "older", settings) as teller:
        teller.tell(numbered(300))
        wait_for(lambda: teller.now().epochs, teller.now)
        teller.settle()
    caught_up(tmp_path / "copy", settings)
    assert fresh_view(tmp_path / "copy") == fresh_view(tmp_path / "older")


def test_a_topic_made_anew_is_filled_anew_and_the_replica_begins_again(
    broker: Broker, settings: TopicSettings, tmp_path: Path
) -> None:
    path, copy, made = tmp_path / "store", tmp_path / "copy", recording(8)
    half = cut(made.told, 150)
    with Teller(path, settings) as teller:
        teller.tell(made.told[:half])
        teller.settle()
    caught_up(copy, settings)
    admin = broker.admin()  # which must outlive its answers
    admin.delete_topics([settings.topic])[settings.topic].result(20)
    wait_for(lambda: settings.topic not in admin.list_topics(timeout=10).topics, admin.list_topics)
    with Teller(path, settings) as teller:
        teller.tell(made.told[half:])
        wait_for(lambda: teller.now().epochs, teller.now)
        teller.settle()
    caught_up(copy, settings)
    assert fresh_view(copy) == fresh_view(path) == merged(made.history())


@pytest.mark.parametrize("how", ["written", "pruned"])
def test_what_is_done_to_a_store_without_a_topic_reaches_it_with_the_next_start(
    how: str, settings: TopicSettings, tmp_path: Path
) -> None:
    path, copy = tmp_path / "store", tmp_path / "copy"
    with Teller(path, settings) as teller:
        teller.tell(numbered(300))
        teller.settle()
    caught_up(copy, settings)
    if how == "written":
        with EvidenceStore(path, write=True) as store:
            store.write(numbered(90, 300))
    else:
        assert prune(str(path), 1_795_168_800_000_000 + 86_400_000_000)
    with Teller(path, settings) as teller:
        teller.tell(numbered(30, 390))
        teller.settle()
    caught_up(copy, settings)
    assert fresh_view(copy) == fresh_view(path)
    assert erased(settings), "the epoch before is deleted from the topic"


def erased(settings: TopicSettings) -> bool:
    """Whether every message of every epoch but the newest has a tombstone."""
    log = open_log(settings.client, settings.options, settings.topic)
    left: dict[bytes, bool] = {}
    first, end = log.edges()
    log.seek(first)
    at = first
    while at < end:
        for record in log.read(1, 500):
            left[record.key] = bool(record.value)
            at = record.offset + 1
    log.close()
    places = {place: there for key, there in left.items() if (place := message_of(key)) is not None}
    newest = max(place.epoch for place in places)
    assert {place.epoch for place in places} > {newest}
    return all(there == (place.epoch == newest) for place, there in places.items())


def test_resend_tells_all_anew(settings: TopicSettings, tmp_path: Path) -> None:
    with Teller(tmp_path / "store", settings) as teller:
        teller.tell(numbered(100))
        teller.settle()
    with Teller(tmp_path / "store", settings, resend=True) as teller:
        wait_for(lambda: teller.now().epochs, teller.now)
        teller.settle()
        assert teller.now().epochs == 1
    caught_up(tmp_path / "copy", settings)
    assert fresh_view(tmp_path / "copy") == fresh_view(tmp_path / "store")


def test_a_topic_that_lost_messages_is_said_and_not_named_by(
    broker: Broker, settings: TopicSettings, tmp_path: Path
) -> None:
    with Teller(tmp_path / "store", settings) as teller:
        for number in range(0, 300, 30):
            teller.tell(numbered(30, number))
            teller.settle()
    set_policy(broker, settings.topic, "delete")
    where = TopicPartition(settings.topic, 0, 3)
    admin = broker.admin()
    next(iter(admin.delete_records([where]).values())).result(20)
    with Replica(str(tmp_path / "copy"), settings) as replica:
        wait_for(lambda: "not in the topic any more" in str(replica.unready()), replica.unready)
        assert "--resend" in str(replica.unready())
    with Teller(tmp_path / "store", settings, resend=True) as teller:
        wait_for(lambda: teller.now().epochs, teller.now)
        teller.settle()
        assert "cleanup.policy=delete" in teller.now().warning
    caught_up(tmp_path / "copy", settings)
    assert fresh_view(tmp_path / "copy") == fresh_view(tmp_path / "store")


def set_policy(broker: Broker, topic: str, policy: str) -> None:
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

    entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
    admin = broker.admin()
    asked = admin.incremental_alter_configs([ConfigResource("topic", topic, incremental_configs=[entry])])
    next(iter(asked.values())).result(20)


def test_other_messages_in_the_topic_are_counted_and_passed_over(
    broker: Broker, settings: TopicSettings, tmp_path: Path
) -> None:
    with Teller(tmp_path / "store", settings) as teller:
        teller.tell(numbered(100))
        teller.settle()
        producer = Producer({"bootstrap.servers": broker.plain})
        for key, value in ((b"a/b/c/d", b"x"), (b"\xff", None), (b"s/1/live/0", b"")):
            producer.produce(settings.topic, value, key)
        producer.flush(10)
        with Replica(str(tmp_path / "copy"), settings) as replica:
            assert replica.wait_ready(20), replica.unready()
            assert replica.vitals().foreign == 3
    assert fresh_view(tmp_path / "copy") == fresh_view(tmp_path / "store")


def test_a_message_that_cannot_be_read_is_said_and_not_named_by(
    broker: Broker, settings: TopicSettings, tmp_path: Path
) -> None:
    broker.create(settings.topic, **{"cleanup.policy": "compact"})
    producer = Producer({"bootstrap.servers": broker.plain})
    producer.produce(settings.topic, b"no evidence", b"abc/5/snapshot/1")
    producer.flush(10)
    with Replica(str(tmp_path / "copy"), settings) as replica:
        wait_for(lambda: "it is no message of evidence" in str(replica.unready()), replica.unready)


def test_two_replicas_of_one_file_take_turns(settings: TopicSettings, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy")
    with Teller(tmp_path / "store", settings) as teller:
        teller.tell(numbered(100))
        teller.settle()
        with Replica(copy, settings) as first:
            assert first.wait_ready(20), first.unready()
            with Replica(copy, settings) as second:
                assert second.wait_ready(20), second.unready()
                wait_for(lambda: second.vitals().state == "shared", second.vitals)
                first.close()
                teller.tell(numbered(30, 100))
                teller.settle()
                end = fresh_view(tmp_path / "store")
                wait_for(lambda: fresh_view(tmp_path / "copy") == end, second.vitals)
                assert second.vitals().state == "reading"


def test_a_recorders_store_is_no_place_for_a_replica(settings: TopicSettings, tmp_path: Path) -> None:
    with Teller(tmp_path / "store", settings) as teller:
        teller.tell(numbered(10))
        teller.settle()
    before = fresh_view(tmp_path / "store")
    with Replica(str(tmp_path / "store"), settings) as replica:
        wait_for(lambda: "a store of its own" in replica.vitals().reason, replica.vitals)
    assert fresh_view(tmp_path / "store") == before
    caught_up(tmp_path / "copy", settings)
    other = TopicSettings(f"other-{uuid.uuid4().hex[:8]}", settings.client, settings.options)
    with Teller(tmp_path / "store2", other) as teller:
        teller.settle()
        with Replica(str(tmp_path / "copy"), other) as replica:
            wait_for(lambda: "it is a replica of topic" in replica.vitals().reason, replica.vitals)


def test_several_partitions_are_refused(broker: Broker, settings: TopicSettings, tmp_path: Path) -> None:
    broker.create(settings.topic, 2)
    with Teller(tmp_path / "store", settings) as teller, Replica(str(tmp_path / "copy"), settings) as replica:
        for who in (teller.now, replica.vitals):
            wait_for(lambda who=who: "it has 2 partitions" in who().reason, who)  # type: ignore[misc]


def test_a_store_of_the_version_before_is_read_as_it_is_and_led_forward(tmp_path: Path) -> None:
    from enrich.store.database import HISTORY

    old = tmp_path / "old"
    with EvidenceStore(tmp_path / "new", write=True) as store:
        store.write(numbered(30))
        rows = {
            table: store.database.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("cluster", "object", "event", "address", "span", "cursor", "source")
        }
    database = sqlite3.connect(old, isolation_level=None)
    database.executescript(
        f"{HISTORY.migrations[0]} PRAGMA application_id = {HISTORY.application}; PRAGMA user_version = 1;"
    )
    for table, found in rows.items():
        for row in found:
            database.execute(f"INSERT INTO {table} VALUES({','.join('?' * len(row))})", row)
    database.close()
    known = fresh_view(tmp_path / "new")
    assert fresh_view(old) == known
    assert facts(str(old)).version == 1
    assert (facts(str(old)).telling, facts(str(old)).replica) == (None, None)
    with EvidenceStore(old, write=True) as store:
        assert len(store.database.execute("SELECT store FROM identity").fetchone()[0]) == 16
    assert facts(str(old)).version == 2
    assert fresh_view(old) == known
    with pytest.raises(StoreError, match="no such file"):
        facts(str(tmp_path / "none"))
