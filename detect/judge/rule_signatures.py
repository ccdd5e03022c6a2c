"""Signs what decides a rule's state; a changed signature discards the state."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from detect.model import Correlation, FlowRule, RuleSet


def signatures(ruleset: RuleSet) -> dict[str, str]:
    """What of each rule decides its state, hashed: not its title, level or text."""
    found = {one.info.id: _digest(_flow_rule(one)) for one in ruleset.rules}
    by_name = {one.info.name: found[one.info.id] for one in ruleset.rules} | found
    for one in ruleset.correlations:
        found[one.info.id] = _digest(_correlation(one), *(by_name.get(name, "") for name in one.rules))
    return found


def _flow_rule(rule: FlowRule) -> list[Any]:
    first = None if rule.first_seen is None else asdict(rule.first_seen)
    return [rule.sql, rule.info.group_by, rule.info.window_us, first, rule.silent]


def _correlation(rule: Correlation) -> list[Any]:
    aliases = {alias: dict(columns) for alias, columns in rule.aliases.items()}
    told = [rule.type, rule.rules, rule.timespan_us, rule.group_by, aliases, rule.operator, rule.count, rule.fields]
    return [*told, rule.info.window_us]


def _digest(*told: Any) -> str:
    return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()
