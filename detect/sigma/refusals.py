"""Words the refusal of a rule."""

from __future__ import annotations

from dataclasses import dataclass

_MARKED = {number: f"\\x{number:02x}" for number in (*range(32), *range(127, 160))}


class Refused(Exception):
    """A rule or a part of it cannot be honoured. line: where, 0 if whoever catches it knows better."""

    def __init__(self, cause: str, advice: str, line: int = 0) -> None:
        super().__init__(f"{cause}; {advice}")
        self.cause, self.advice, self.line = cause, advice, line


@dataclass(frozen=True)
class Refusal:
    """A rule that was not loaded. rule: its title, or "" if it was not come to that. cause, advice: in words."""

    path: str
    line: int
    rule: str
    cause: str
    advice: str

    def __str__(self) -> str:
        what = f"rule '{self.rule}'" if self.rule else "rules"
        return f"{self.path}:{self.line}: cannot load {what}: {self.cause}; {self.advice}".translate(_MARKED)
