"""Answers that know when they do not know: no, maybe, yes, and why only maybe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

UNKNOWN, UNSUPPORTED, UNDEFINED = "indeterminate", "unsupported", "undefined"
# What outweighs what where several things are in doubt.
WEIGHT = {UNKNOWN: 0, UNDEFINED: 1, UNSUPPORTED: 2}


class Answer(NamedTuple):
    """Whether something matches. sure: whether that is known. word, why: what kind of doubt, where it is not."""

    yes: bool
    sure: bool = True
    word: str = ""
    why: str = ""

    @property
    def no(self) -> bool:
        """Say whether it certainly does not match."""
        return self.sure and not self.yes

    @property
    def certain(self) -> bool:
        """Say whether it certainly matches."""
        return self.sure and self.yes


YES, NO = Answer(True), Answer(False)


def maybe(word: str, why: str) -> Answer:
    """Return an answer that nobody knows."""
    return Answer(False, False, word, why)


def both(*answers: Answer) -> Answer:
    """Return whether all match: one sure no is enough for no."""
    for one in answers:
        if one.no:
            return NO
    return _heaviest(one for one in answers if not one.sure) or YES


def either(answers: Iterable[Answer]) -> Answer:
    """Return whether one matches: one sure yes is enough for yes."""
    doubts = []
    for one in answers:
        if one.certain:
            return YES
        if not one.sure:
            doubts.append(one)
    return _heaviest(doubts) or NO


def _heaviest(doubts: Iterable[Answer]) -> Answer | None:
    return max(doubts, key=lambda one: WEIGHT[one.word], default=None)
