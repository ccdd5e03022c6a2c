"""Words the refusal of a rule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_MARKED = {number: f"\\x{number:02x}" for number in (*range(32), *range(127, 160))}


class Refused(Exception):
    """A rule or a part of it cannot be honoured. line: where, 0 if whoever catches it knows better.

    others: what else is wrong in it, so that all is told at once.
    """

    def __init__(self, cause: str, advice: str, line: int = 0) -> None:
        super().__init__(f"{cause}; {advice}")
        self.cause, self.advice, self.line = cause, advice, line
        self.others: list[Refused] = []


class Gathering:
    """Goes on past what is refused, and refuses it all in the end."""

    def __init__(self) -> None:
        self.found: list[Refused] = []

    @contextmanager
    def part(self) -> Iterator[None]:
        """Keep what a part is refused for."""
        try:
            yield
        except Refused as refused:
            self.found += [refused, *refused.others]

    def finish(self) -> None:
        """Raises: Refused with all that was found, if anything was."""
        if self.found:
            first, *first.others = self.found
            raise first


@dataclass(frozen=True)
class Refusal:
    """A rule that was not loaded, and one reason why.

    rule, id: its title and id, or "" if it was not come to that. cause, advice: in words.
    """

    path: str
    line: int
    rule: str
    cause: str
    advice: str
    id: str = ""

    def __str__(self) -> str:
        what = f"rule '{self.rule}'" if self.rule else "rules"
        return f"{self.path}:{self.line}: cannot load {what}: {self.cause}; {self.advice}".translate(_MARKED)
