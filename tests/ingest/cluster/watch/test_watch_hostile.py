"""A watch against a peer that misbehaves on purpose: nothing lost in silence, nothing doubled, always back."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cluster.following import QUICK, connection_to, following, until
from support.cluster.hostile import (
    END,
    Answer,
    Asked,
    Hostile,
    answer,
    bookmark,
    chunk,
    event,
    failure,
    page,
    pod,
    status,
    stream,
)

from ingest.cluster.evidence.lines import EvidenceReport
from ingest.cluster.watch.api_errors import Refused, Unreadable
from ingest.cluster.watch.event_decoder import lines, read_event, read_page

LONG = 30.0
FIELDS = st.sampled_from(
    ["metadata", "spec", "status", "kind", "items", "name", "uid", "labels", "podIPs", "containers", "conditions"]
)


def quiet(*chunks: bytes) -> Iterator[bytes | float]:
    """A watch that says this, then a word now and then, and stays."""
    yield from stream(*chunks)
    while True:
        yield 0.3
        yield chunk(bookmark(1000))


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"{}", b'{"a": "\xc3\xa4"}', b"", b"  ", b"\r"])), st.binary(max_size=9), st.data())
def test_lines_are_the_same_wherever_the_chunks_end(whole: list[bytes], left: bytes, data: st.DataObject) -> None:
    left = left.replace(b"\n", b"")
    sent = b"".join(one + b"\n" for one in whole) + left
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    chunks = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    found = [line for batch in lines(chunks, 1000, "read") for line in batch]
    assert found == [one for one in whole if one.strip()]


def test_a_line_longer_than_memory_may_be_is_refused() -> None:
    with pytest.raises(Unreadable, match="more than 100 bytes"):
        list(lines([b"x" * 60, b"y" * 60], 100, "watch pods"))


TEXT = st.text("a/\0é😀", max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(
    st.dictionaries(FIELDS, JSON, max_size=4), st.sampled_from(["ADDED", "DELETED", "BOOKMARK", "ERROR", "", 5, None])
)
def test_whatever_an_event_holds_it_is_read_or_refused(thing: dict[str, object], verb: object) -> None:
    raw = json.dumps({"type": verb, "object": thing}).encode()
    report = EvidenceReport()
    try:
        line = read_event(raw, report, "watch pods")
    except (Refused, Unreadable):
        return
    assert line is None or (line.type == verb and line.object is not None)
    page = json.dumps({"metadata": thing.get("metadata"), "items": thing.get("spec")}).encode()
    with contextlib.suppress(Unreadable):
        assert isinstance(read_page(page, report, "list pods").metadata.resourceVersion, str)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_whatever_bytes_come_they_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(Refused, Unreadable):
        read_event(raw, EvidenceReport(), "watch pods")
    with contextlib.suppress(Unreadable):
        read_page(raw, EvidenceReport(), "list pods")


def test_list_then_watch_from_its_version(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        if asked.sort == "list":
            return page("c", 7) if "continue" in asked.query else page("ab", 7, more="next")
        return quiet(event("ADDED", pod("d", 8)), bookmark(9))

    with Hostile(script) as server, following(connection_to(tmp_path, server.url)) as told:
        until(lambda: "BOOKMARK 9" in told.words())
        assert told.words()[:6] == ["LISTED a", "LISTED b", "LISTED c", "RELISTED 7", "ADDED d", "BOOKMARK 9"]
        assert len({one.received_us for one in told.seen[:4]}) == 1, "a list is one moment"
        assert all(one.object.kind == "Pod" and one.cluster == "paris" for one in told.seen)
        assert (told.stream.state.state, told.stream.state.objects) == ("watching", 4)
        watch = server.of("watch")[0]
        assert watch.query["resourceVersion"] == "7"
        assert watch.query["allowWatchBookmarks"] == "1" or watch.query["allowWatchBookmarks"] == "true"
        assert watch.headers["user-agent"].startswith("whowas/")
        assert watch.headers["authorization"] == "Bearer first"
        assert not any("Selector" in name for one in server.asked for name in one.query)


def gone_by_status() -> Answer:
    return status(410, "too old resource version: 7 (9)", Reason="Gone")


def gone_by_event() -> Answer:
    return stream(event("ADDED", pod("d", 8)), event("ERROR", failure(410, "too old")), END)


@pytest.mark.parametrize("gone", [gone_by_status, gone_by_event])
def test_history_gone_twice_leaves_a_gap_before_each_new_list(tmp_path: Path, gone: object) -> None:
    def script(asked: Asked) -> Answer:
        if asked.sort == "list":
            return page("ab", 7 + asked.number)
        if asked.sort == "check":
            return page("a", 50)
        return gone() if asked.number < 2 else quiet(bookmark(99))

    with Hostile(script) as server, following(connection_to(tmp_path, server.url)) as told:
        until(lambda: "BOOKMARK 99" in told.words())
        words = [one for one in told.words() if not one.startswith("LISTED b")]
        event_too = ["ADDED d"] if gone is gone_by_event else []
        once = ["LISTED a", "RELISTED {}", *event_too, "GAP"]
        want = [one.format(7 + turn) for turn in range(2) for one in once] + ["LISTED a", "RELISTED 9", "BOOKMARK 99"]
        assert words[: len(want)] == want
        assert told.stream.state.gaps == 2
        for at, one in enumerate(told.seen):
            if one.verb == "GAP":
                assert one.object.kind == "Pod"
                assert one.span == (told.seen[at - 1].received_us, told.seen[at + 1].received_us)


def test_resume_from_a_known_version_lists_nothing_and_has_no_gap(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        return page("a", 44) if asked.sort == "check" else quiet(event("MODIFIED", pod("a", 41)))

    with (
        Hostile(script) as server,
        following(connection_to(tmp_path, server.url), resume=("40", 1)) as told,
    ):
        until(lambda: "MODIFIED a" in told.words())
        # The last word was long ago, so nobody knows when in between it happened.
        assert told.words()[:2] == ["LATE", "MODIFIED a"]
        assert told.seen[0].span == (1, told.seen[0].received_us)
        assert server.of("watch")[0].query["resourceVersion"] == "40"
        assert not server.of("list")


def test_resume_from_a_version_still_to_come_means_a_store_restored(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        return page("a", 30) if asked.sort != "watch" else quiet(event("MODIFIED", pod("a", 31)))

    with (
        Hostile(script) as server,
        following(connection_to(tmp_path, server.url), resume=("40", 5)) as told,
    ):
        until(lambda: "MODIFIED a" in told.words())
        assert told.words()[:4] == ["GAP", "LISTED a", "RELISTED 30", "MODIFIED a"]
        assert told.seen[0].span == (5, told.seen[1].received_us)
        assert "restored" in told.stream.state.last_error


def cut_in_a_line() -> Answer:
    """The connection breaks in the middle of an event."""
    return stream(event("ADDED", pod("c", 8)) + event("ADDED", pod("d", 9))[:40])


def half_open() -> Iterator[bytes | float]:
    """Nothing comes any more, and nobody says so."""
    yield from stream(event("ADDED", pod("c", 8)))
    yield LONG


def garbled() -> Answer:
    """A proxy put something into the stream."""
    return stream(event("ADDED", pod("c", 8)) + b'{"type": "ADDED", <html>\n', END)


def server_error() -> Answer:
    return stream(event("ADDED", pod("c", 8)), event("ERROR", failure(500, "etcd leader changed")), END)


def without_chunks() -> Answer:
    return stream(event("ADDED", pod("c", 8)), event("ADDED", pod("d", 9))[:40], chunked=False)


def bad_chunk() -> Answer:
    return [*stream(event("ADDED", pod("c", 8))), b"zz\r\n"]


@pytest.mark.parametrize("broken", [cut_in_a_line, half_open, garbled, server_error, without_chunks, bad_chunk])
def test_a_watch_that_breaks_goes_on_from_the_last_event(tmp_path: Path, broken: object) -> None:
    def script(asked: Asked) -> Answer:
        if asked.sort != "watch":
            return page("ab", 7 if asked.sort == "list" else 20)
        return broken() if asked.number == 0 else quiet(event("ADDED", pod("d", 9)))

    with Hostile(script) as server, following(connection_to(tmp_path, server.url)) as told:
        until(lambda: "ADDED d" in told.words())
        assert told.words()[:5] == ["LISTED a", "LISTED b", "RELISTED 7", "ADDED c", "ADDED d"]
        assert [one.query["resourceVersion"] for one in server.of("watch")] == ["7", "8"]
        assert told.stream.state.gaps == 0
        assert told.stream.state.restarts == 1


def test_a_line_garbled_at_its_source_is_listed_past(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        if asked.sort != "watch":
            return page("ab", 7 + 10 * asked.number if asked.sort == "list" else 20)
        return stream(b"{no\n", END) if asked.query["resourceVersion"] == "7" else quiet(event("ADDED", pod("d", 18)))

    with Hostile(script) as server, following(connection_to(tmp_path, server.url)) as told:
        until(lambda: "ADDED d" in told.words())
        assert "GAP" in told.words()
        assert told.stream.state.refused["broken"] == 2


def test_a_line_without_end_costs_a_list_not_the_memory(tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        yield from stream(b'{"type": "ADDED", "object": {"kind": "')
        while True:
            yield chunk(b"x" * 8192)

    def script(asked: Asked) -> Answer:
        if asked.sort != "watch":
            return page("ab", 7 + asked.number)
        return endless() if asked.number == 0 else quiet(event("ADDED", pod("d", 9)))

    with Hostile(script) as server, following(connection_to(tmp_path, server.url)) as told:
        until(lambda: "ADDED d" in told.words())
        assert told.words()[3] == "GAP"
        assert len(server.of("list")) == 2


def test_blank_lines_and_characters_cut_by_chunks(tmp_path: Path) -> None:
    named = event("ADDED", {"metadata": {"name": "ä€😀", "uid": "u", "resourceVersion": "8"}})
    pieces = [named[at : at + 1] for at in range(len(named))]

    def script(asked: Asked) -> Answer:
        if asked.sort != "watch":
            return page("ab", 7)
        return quiet(b"\n\r\n  \n", *pieces, b"\n\n", event("DELETED", pod("a", 9)))

    with Hostile(script) as server, following(connection_to(tmp_path, server.url)) as told:
        until(lambda: "DELETED a" in told.words())
        assert told.words()[3:5] == ["ADDED ä€😀", "DELETED a"]


def test_odd_fields_cost_themselves_only(tmp_path: Path) -> None:
    odd = pod("c", 8, spec={"nodeName": "n1", "containers": None}, status={"podIP": "10.0.0.1", "podIPs": 5})

    def script(asked: Asked) -> Answer:
        if asked.sort == "list":
            body = b'{"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "a"}, "spec": 3}, null]}'
            return answer(body)
        return quiet(event("ADDED", odd), event("UNHEARD", odd), event("MODIFIED", pod("c", 9)))

    with Hostile(script) as server, following(connection_to(tmp_path, server.url)) as told:
        until(lambda: "MODIFIED c" in told.words())
        assert told.words()[:4] == ["LISTED a", "RELISTED 7", "ADDED c", "MODIFIED c"]
        thing = told.seen[2].object
        assert thing.status is not None
        assert thing.spec is not None
        assert (thing.status.podIP, thing.status.podIPs, thing.spec.nodeName) == ("10.0.0.1", None, "n1")
        assert told.stream.state.refused == {"odd_field": 2, "odd_item": 1, "no_evidence": 1, "broken": 0}


def test_an_expired_token_starts_the_list_again_and_says_so(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        if asked.sort == "watch":
            return quiet(bookmark(99))
        if "continue" in asked.query:
            return status(410, "the continue token is too old") if asked.number == 1 else page("c", 9)
        return page("ab", 7, more="next") if asked.number == 0 else page("b", 9, more="next")

    with Hostile(script) as server, following(connection_to(tmp_path, server.url)) as told:
        until(lambda: "BOOKMARK 99" in told.words())
        assert told.words()[:6] == ["LISTED a", "LISTED b", "GAP", "LISTED b", "LISTED c", "RELISTED 9"]
        shown = [one for one in told.seen if one.verb == "LISTED"]
        done = next(one for one in told.seen if one.verb == "RELISTED")
        assert [one.received_us == done.received_us for one in shown] == [False, False, True, True]


@pytest.mark.parametrize("code", [429, 503])
def test_a_server_that_asks_for_a_pause_gets_it(tmp_path: Path, code: int) -> None:
    def script(asked: Asked) -> Answer:
        if asked.sort == "watch":
            return quiet(bookmark(99))
        return status(code, "busy", Retry_After="1") if asked.number == 0 else page("a", 7)

    with Hostile(script) as server, following(connection_to(tmp_path, server.url)) as told:
        until(lambda: told.stream.state.state == "waiting")
        assert f"answered {code}: busy" in told.stream.state.last_error
        until(lambda: "BOOKMARK 99" in told.words())
        first, second = server.of("list")
        assert second.at - first.at >= 1.0


def test_refusals_are_shown_and_asked_again(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        if asked.sort == "watch":
            return quiet(bookmark(99))
        return status(403, "pods is forbidden: no role") if asked.number < 6 else page("a", 7)

    with Hostile(script) as server, following(connection_to(tmp_path, server.url)) as told:
        until(lambda: told.stream.state.state == "forbidden")
        assert "no role" in told.stream.state.last_error
        until(lambda: "BOOKMARK 99" in told.words())
        assert told.words()[:2] == ["LISTED a", "RELISTED 7"]
        assert told.stream.state.state == "watching"


def test_rights_lost_for_a_while_lose_nothing_while_the_version_is_known(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        if asked.sort == "check":
            return status(403, "no") if asked.number < 2 else page("a", 30)
        if asked.sort == "list":
            return page("a", 7)
        return (
            stream(event("MODIFIED", pod("a", 8)), END) if asked.number == 0 else quiet(event("DELETED", pod("a", 9)))
        )

    with Hostile(script) as server, following(connection_to(tmp_path, server.url)) as told:
        until(lambda: "DELETED a" in told.words())
        assert told.words()[:4] == ["LISTED a", "RELISTED 7", "MODIFIED a", "DELETED a"]
        assert told.stream.state.gaps == 0


def test_watches_closed_at_once_are_not_opened_without_pause(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        return page("a", 7) if asked.sort != "watch" else stream(END)

    options = replace(QUICK, backoff_seconds=(0.2, 5.0))
    with Hostile(script) as server, following(connection_to(tmp_path, server.url), options=options):
        time.sleep(2)
        assert 2 <= len(server.of("watch")) < 25


def test_a_server_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with following(connection_to(tmp_path, f"http://127.0.0.1:{port}")) as told:
        until(lambda: told.stream.state.state == "waiting")
        assert "connection refused" in told.stream.state.last_error

        def script(asked: Asked) -> Answer:
            return page("a", 7) if asked.sort != "watch" else quiet(bookmark(99))

        with Hostile(script, port):
            until(lambda: "BOOKMARK 99" in told.words())
    assert told.words()[:2] == ["LISTED a", "RELISTED 7"]


def test_a_stream_that_waits_for_the_server_ends_when_told(tmp_path: Path) -> None:
    def script(asked: Asked) -> Iterator[bytes | float]:
        if asked.sort != "watch":
            yield from page("a", 7)
            return
        yield from half_open()

    options = replace(QUICK, silence_seconds=60.0)
    with Hostile(script) as server, following(connection_to(tmp_path, server.url), options=options) as told:
        until(lambda: "ADDED c" in told.words())
        began = time.monotonic()
    assert time.monotonic() - began < 2


def test_what_put_raises_ends_the_stream_and_shows(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        return page("a", 7) if asked.sort != "watch" else quiet(bookmark(99))

    def full(_: object) -> None:
        raise OSError("no space left")

    with Hostile(script) as server:
        from ingest.cluster.watch.reflector import Reflector
        from ingest.cluster.watch.resources import RESOURCES

        one = Reflector(RESOURCES[0], connection_to(tmp_path, server.url), "paris", None, full, QUICK)
        with pytest.raises(OSError, match="no space left"):
            one.run()
        assert one.state.state == "stopped"
        assert "no space left" in one.state.last_error
