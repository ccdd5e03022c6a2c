"""DNS: messages to addresses, and which name a client was told for an address before a moment."""

from __future__ import annotations

import contextlib
import random
import socket

import pytest
from support.hellos import dns, dns_name, dns_record, vector
from support.mutate import mutated

from ingest.names.dns_answers import ANSWERS_MOST, OLDER, OTHERS, UNASKED, WITHIN, Answer, DnsAnswers
from ingest.names.dns_message import MAPPED, framed, read_message
from ingest.names.reading import Refused, Short

HERE = b"\xc0\x0c"
SIX = socket.inet_pton(socket.AF_INET6, "2001:db8::1")
SECOND = 1_000_000


def test_addresses_through_aliases() -> None:
    """The least TTL on the way counts."""
    edge = dns_name("edge.example.net")
    answers = [
        dns_record(HERE, 5, 30, edge),
        dns_record(edge, 1, 300, bytes([192, 0, 2, 1])),
        dns_record(edge, 28, 9, SIX),
    ]
    message = read_message(dns(7, "Shop.example.COM", answers))
    assert (message.number, message.answers, message.question) == (7, True, "shop.example.com")
    assert [(one.address, one.ttl) for one in message.addresses] == [(MAPPED + bytes([192, 0, 2, 1]), 30), (SIX, 9)]


def test_hints_of_service_bindings() -> None:
    hints = b"\0\1\0" + b"\0\4" + vector(2, bytes([192, 0, 2, 1, 192, 0, 2, 2])) + b"\0\6" + vector(2, SIX)
    message = read_message(dns(7, "a.example", [dns_record(HERE, 65, 60, hints)]))
    assert [one.address for one in message.addresses] == [MAPPED + b"\xc0\0\2\1", MAPPED + b"\xc0\0\2\2", SIX]


def test_what_belongs_to_another_name_is_not_the_questions() -> None:
    strange = dns_record(dns_name("bank.example"), 1, 60, b"\1\2\3\4")
    assert read_message(dns(7, "a.example", [strange])).addresses == ()


def test_a_question_has_no_addresses_and_a_failure_neither() -> None:
    answers = [dns_record(HERE, 1, 60, b"\1\2\3\4")]
    assert read_message(dns(7, "a.example", answers, answer=False)).addresses == ()
    failed = bytearray(dns(7, "a.example", answers))
    failed[3] |= 3
    assert read_message(bytes(failed)).addresses == ()


def test_what_is_cut_off_behind_answers_takes_them_not_away() -> None:
    answers = [dns_record(HERE, 1, 60, b"\1\2\3\4"), dns_record(HERE, 1, 60, b"\5\6\7\x08")]
    assert len(read_message(dns(7, "a.example", answers)[:-3]).addresses) == 1


@pytest.mark.parametrize(
    "name", [b"\xc0\x0c", b"\xc0\xff", b"\1a\xc0\x0c", b"\x80a\0", b"\x3fa", (b"\x3f" + b"a" * 63) * 5 + b"\0"]
)
def test_names_without_an_end(name: bytes) -> None:
    with pytest.raises((Short, Refused)):
        read_message(bytes.fromhex("000701000001000000000000") + name + b"\0\1\0\1")


def test_a_dot_within_a_label_is_no_dot() -> None:
    assert read_message(dns(7, "a", ())[:12] + b"\3a.b\2cd\0\0\1\0\1").question == "a\\x2eb.cd"


def test_messages_of_a_stream() -> None:
    assert framed(vector(2, b"one") + vector(2, b"second") + b"\0\x09cut") == [b"one", b"second"]


def test_whatever_comes_nothing_else_is_raised() -> None:
    edge = dns_name("edge.example.net")
    seeds = [dns(7, "a.example", [dns_record(HERE, 5, 30, edge), dns_record(edge, 1, 30, b"\1\2\3\4")]),
             dns(7, "a.example", [dns_record(HERE, 65, 60, b"\0\1\0\0\4\0\4\1\2\3\4")])]  # fmt: skip
    read, chance = 0, random.Random(3)
    for one in (mutated(chance.choice(seeds), seeds, chance) for _ in range(4000)):
        with contextlib.suppress(Short, Refused):
            read += len(read_message(one).addresses)
    assert read > 100


KEY = (0, b"client", b"address")


def told(*answers: Answer, when: int) -> tuple[str, str] | None:
    known = DnsAnswers()
    for one in answers:
        known.add(KEY, one)
    return known.name(KEY, when * SECOND)


def answer(at: int, name: str, ttl: int = 30, asked: bool = True) -> Answer:
    return Answer(at * SECOND, (at + ttl) * SECOND, name, asked)


def test_the_newest_name_before_the_flow() -> None:
    some = answer(10, "a"), answer(20, "b"), answer(60, "c")
    assert told(*some, when=15) == ("a", WITHIN)
    assert told(*some, when=25) == ("b", WITHIN + OTHERS)
    assert told(*some, when=45) == ("b", WITHIN)
    assert told(*some, when=55) == ("b", OLDER)
    assert told(*some, when=9) is None


def test_a_name_that_nobody_asked_for_says_so() -> None:
    assert told(answer(10, "a", asked=False), when=11) == ("a", WITHIN + UNASKED)


def test_a_day_later_nothing_is_said() -> None:
    assert told(answer(10, "a"), when=90_000) is None


def test_the_same_answer_again_makes_it_last() -> None:
    many = [answer(at, "a") for at in range(10, 400, 10)]
    assert told(*many, when=12) == ("a", WITHIN)
    assert told(*many, when=410) == ("a", WITHIN)


def test_old_pairs_and_answers_are_forgotten() -> None:
    known = DnsAnswers(most=2)
    for number in range(4):
        known.add((number, b"", b""), answer(1, "a"))
    assert (len(known), known.forgotten) == (2, 2)
    for at in range(20):
        known.add(KEY, answer(at, str(at)))
    assert known.name(KEY, (19 - ANSWERS_MOST) * SECOND) is None
    assert known.name(KEY, (20 - ANSWERS_MOST) * SECOND) == (str(20 - ANSWERS_MOST), WITHIN)
