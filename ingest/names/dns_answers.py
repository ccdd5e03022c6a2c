"""Which client was told which name for an address, and when. The newest answers alone are kept, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

# Pairs of a client and an address, and answers of each. About 60 MB when full.
PAIRS_MOST = 1 << 17
ANSWERS_MOST = 6
# Beyond this an old answer says nothing of who has the address now.
OLD_US = 24 * 3_600_000_000
WITHIN = "the client was told this name for the address, and its TTL was not over"
OLDER = "the client was told this name for the address, but the TTL was over when the flow began"
OTHERS = "; other names for it were valid too"
UNASKED = "; the question was not seen"
REASONS = tuple(one + more for one in (WITHIN, OLDER) for more in ("", OTHERS, UNASKED, OTHERS + UNASKED))


@dataclass(frozen=True, slots=True)
class Answer:
    """A name that a client was told. times: us. asked: the question was seen too."""

    time: int
    until: int
    name: str
    asked: bool


Key = tuple[int, bytes, bytes]


class DnsAnswers:
    """Answers by (network, client, address)."""

    def __init__(self, most: int = PAIRS_MOST) -> None:
        self._known: OrderedDict[Key, tuple[Answer, ...]] = OrderedDict()
        self._most = most
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._known)

    def add(self, key: Key, answer: Answer) -> None:
        """Remember an answer, for as long as there is room. The same answer again makes the old one longer."""
        before = self._known.pop(key, ())
        if before and before[-1].name == answer.name and before[-1].until >= answer.time:
            last, before = before[-1], before[:-1]
            until, asked = max(answer.until, last.until), answer.asked or last.asked
            answer = Answer(min(answer.time, last.time), until, answer.name, asked)
        self._known[key] = (*before, answer)[-ANSWERS_MOST:]
        if len(self._known) > self._most:
            self._known.popitem(last=False)
            self.forgotten += 1

    def name(self, key: Key, when: int) -> tuple[str, str] | None:
        """Return (name, why): the newest that the client was told before `when` (us); None where there is none."""
        told = [one for one in self._known.get(key, ()) if one.time <= when]
        if not told:
            return None
        valid = [one for one in told if one.until >= when]
        best = max(valid or told, key=lambda one: one.time)
        if when - best.until > OLD_US:
            return None
        reason = WITHIN if valid else OLDER
        reason += OTHERS if len({one.name for one in valid}) > 1 else ""
        return best.name, reason + ("" if best.asked else UNASKED)
