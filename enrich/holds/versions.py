"""Versions: what an object was told to be, each from a time on. All state that may change is told by them, of then.

One that was never seen before is in force for as long as the object was there before: nobody saw another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from enrich.holds.pod_ports import PortKey
from whowas.timestamps import AFTER_ALL, BEFORE_ALL

T = TypeVar("T")
Line = tuple[tuple[int, T], ...]
"""Values of one kind, each with the time (us) since when it was told, oldest first."""
Labels = tuple[tuple[str, str], ...]
Bounds = tuple[int, int, int, int]


class Version(NamedTuple):
    """What a holder was from a time on.

    services: of pods, those they stand behind, joined by commas. ports: words (enrich.holds.pod_ports) of a Service's
    own, or of those that a pod opens on its node. node_ports: of a Service. zone: of the node it is on. virtual: a node
    that a virtual kubelet stands for. possible: since when it may have been so; where that decides who is meant,
    nothing is certain between `possible` and `since`.
    """

    since: int
    labels: Labels = ()
    services: str = ""
    images: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    node_ports: tuple[PortKey, ...] = ()
    zone: str = ""
    virtual: bool = False
    possible: int = BEFORE_ALL

    def told(self) -> Version:
        """Return what it says, without its times."""
        return self._replace(since=BEFORE_ALL, possible=BEFORE_ALL)


def added(line: Line[T], value: T, when: int) -> Line[T]:
    """Return a line with what was told at `when`; the same line where that is nothing new."""
    if not line:
        return ((BEFORE_ALL, value),)
    since, last = line[-1]
    # Nobody's order of times is better than that in which versions were told.
    return line if last == value else (*line, (max(when, since), value))


def merged(lines: Sequence[Sequence[tuple[int, Any]]], nothing: Sequence[Any]) -> list[tuple[int, tuple[Any, ...]]]:
    """Merge lines into one: since when, and the values of all lines then. nothing: what each is before its first."""
    now = list(nothing)
    found = {BEFORE_ALL: tuple(now)}
    changes = [(since, place, value) for place, line in enumerate(lines) for since, value in line]
    for since, place, value in sorted(changes, key=lambda one: one[0]):
        now[place] = value
        found[since] = tuple(now)
    return list(found.items())


def port_spans(versions: Sequence[Version], ports: Callable[[Version], Iterable[T]]) -> list[tuple[T, Bounds]]:
    """Return when one had each of its ports, bounded as a hold is: each time it had one is one of them.

    Args: versions: of a pod or Service, oldest first. ports: which of its ports a version has.
    """
    spans: dict[T, list[list[int]]] = {}
    before: set[T] = set()
    for place, one in enumerate(versions):
        following = versions[place + 1] if place + 1 < len(versions) else None
        end, high = (following.possible, following.since) if following else (AFTER_ALL, AFTER_ALL)
        now = dict.fromkeys(ports(one))
        for port in now:
            mine = spans.setdefault(port, [])
            if port in before:
                mine[-1][2:] = end, high
            else:
                mine.append([one.possible if place else BEFORE_ALL, one.since if place else BEFORE_ALL, end, high])
        before = set(now)
    return [(port, (low, sure, end, high)) for port, several in spans.items() for low, sure, end, high in several]
