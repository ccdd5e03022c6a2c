"""What less lucky observers have of the same story: no times of receipt, or one list."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from bench.churn.times import SECOND, START, micro


def _follow(living: dict[str, Any], event: dict[str, Any]) -> None:
    uid = event["object"]["metadata"].get("uid")
    if event["type"] == "DELETED":
        living.pop(uid, None)
    elif uid:
        living[uid] = event["object"]


def living_at(lines: Iterable[str], when: int) -> list[dict[str, Any]]:
    """The objects that a list at that time shows."""
    living: dict[str, Any] = {}
    for event in map(json.loads, lines):
        if event["received"] < micro(when):
            _follow(living, event)
    return list(living.values())


def without_times(lines: list[str]) -> list[str]:
    """`kubectl get -w -o json --output-watch-events`: the same events, nobody wrote down when they came."""
    events = map(json.loads, lines)
    return [json.dumps({"type": one["type"], "object": one["object"]}, indent=4) for one in events]


def one_list(lines: list[str], when: int = START + 60 * SECOND) -> list[str]:
    """`kubectl get -o json`, once."""
    return [json.dumps({"kind": "List", "apiVersion": "v1", "items": living_at(lines, when)}, indent=4)]
