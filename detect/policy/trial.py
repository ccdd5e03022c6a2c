"""Policies that are tried: put in, taken out, or taken for all there is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from detect.policy.model import Policy

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Trial:
    """What is done to the policies of a moment. only: nothing is in force but what is put in."""

    put: tuple[Policy, ...] = ()
    removed: frozenset[Key] = frozenset()
    only: bool = False

    def applied(self, policies: Iterable[Policy | None], namespaces: Collection[str]) -> tuple[Policy, ...]:
        """Return the policies in force that can be about pods of some namespaces."""
        mine = tuple(one for one in self.put if not one.namespace or one.namespace in namespaces)
        if self.only:
            return mine
        gone = self.removed | {one.key() for one in self.put}
        return (*(one for one in policies if one is not None and one.key() not in gone), *mine)
