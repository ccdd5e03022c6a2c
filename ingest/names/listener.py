"""Listens to conversations: takes the packets that were picked, keeps what they told until their rows are written."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from ingest.names.dns_answers import Answer, DnsAnswers
from ingest.names.dns_message import Message, framed, read_message
from ingest.names.greetings import DNS, QUIC
from ingest.names.reading import Refused, Short
from ingest.names.stretch import Stretch
from ingest.names.talk import Talk, Told

# Conversations that are listened to at once, and bytes that are kept of them together.
TALKS_MOST = 1 << 14
BYTES_MOST = 64 << 20
QUESTIONS_MOST = 64


@dataclass(frozen=True, slots=True)
class Picked:
    """One packet that may tell a name. dst: to whom, 16 bytes, of DNS alone. time: us. udp: a datagram is whole."""

    handle: int
    sender: int
    sequence: int
    start: int
    time: int
    code: int
    udp: bool
    dst: bytes
    network: int
    from_server: bool


class Listener:
    """What conversations told, by their handles, and the answers of DNS."""

    def __init__(self) -> None:
        self.answers = DnsAnswers()
        self._talks: OrderedDict[int, Talk] = OrderedDict()
        self._told: dict[int, Told] = {}
        self._held = 0
        self.given_up = 0

    def take(self, packet: Picked, payload: bytes) -> tuple[bool, bool]:
        """Take a packet; return for both directions whether enough is known of them."""
        talk = self._talks.get(packet.handle)
        if talk is None:
            if packet.handle in self._told:
                # It was given up, or is over: what came before is gone.
                return True, True
            talk = self._talks[packet.handle] = Talk()
            self._told[packet.handle] = talk.told
        self._held += len(payload)
        talk.kept += len(payload)
        if packet.code == DNS:
            self._dns(talk, packet, payload)
        elif packet.code == QUIC:
            talk.take_quic(packet.sender, payload)
        else:
            talk.take(packet.sender, packet.start, packet.sequence, payload, packet.code)
        over = talk.done[0], talk.done[1]
        if all(over):
            self._leave(packet.handle)
        elif len(self._talks) > TALKS_MOST or self._held > BYTES_MOST:
            self._give_up()
        return over

    def told(self, handle: int) -> Told | None:
        """Return what a conversation told, and forget it: its row is written now."""
        self._leave(handle)
        return self._told.pop(handle, None)

    def _leave(self, handle: int) -> None:
        talk = self._talks.pop(handle, None)
        self._held -= talk.kept if talk else 0

    def _give_up(self) -> None:
        """Make room: the conversation that began longest ago is listened to no more. What it told stays."""
        self._leave(next(iter(self._talks)))
        self.given_up += 1

    def _dns(self, talk: Talk, packet: Picked, payload: bytes) -> None:
        for one in [payload] if packet.udp else self._messages(talk, packet, payload):
            try:
                message = read_message(one)
            except (Short, Refused):
                continue
            talk.told.question = talk.told.question or message.question
            self._message(talk, packet, message)

    def _messages(self, talk: Talk, packet: Picked, payload: bytes) -> list[bytes]:
        stretch = talk.stretches[packet.sender]
        if stretch is None:
            stretch = talk.stretches[packet.sender] = Stretch(packet.start)
        stretch.add(packet.sequence, payload)
        return framed(stretch.joined)

    def _message(self, talk: Talk, packet: Picked, message: Message) -> None:
        """A question is remembered, an answer kept for the client that it is sent to."""
        key = message.number, message.question or ""
        if not message.answers:
            if len(talk.asked) < QUESTIONS_MOST:
                talk.asked.add(key)
            return
        # What does not come from the port of DNS is no server's answer.
        if message.question and packet.from_server:
            asked = key in talk.asked
            if packet.udp:
                talk.asked.discard(key)
            for one in message.addresses:
                answer = Answer(packet.time, packet.time + one.ttl * 1_000_000, message.question, asked)
                self.answers.add((packet.network, packet.dst, one.address), answer)
