"""Resolves references between rules, filters and correlations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from detect.conditions.tree import Condition, all_of, columns_of, sql_of
from detect.model import Correlation, FlowRule, RuleInfo, RuleSet
from detect.sigma.cases import Case
from detect.sigma.correlation import Told
from detect.sigma.metadata import Own
from detect.sigma.refusals import Refusal


@dataclass(frozen=True)
class Loaded:
    """What came of rule files.

    ruleset: what can be judged by. refusals: what was left out, in the order of files and lines. cases: the rules' own
    tests, of rules that were loaded.
    """

    ruleset: RuleSet
    refusals: tuple[Refusal, ...]
    cases: tuple[Case, ...]


@dataclass
class Draft:
    """A document on its way. One of condition (rule, filter) and told (correlation) is there."""

    info: RuleInfo
    own: Own
    cases: tuple[Case, ...] = ()
    condition: Condition | None = None
    told: Told | None = None


@dataclass
class Filter:
    """A filter document. rules: None for any."""

    title: str
    rules: tuple[str, ...] | None
    condition: Condition
    path: str
    line: int


class Resolving:
    """Brings together what was read. refusals: those so far; more are added."""

    def __init__(self, drafts: list[Draft], filters: list[Filter], refusals: list[Refusal]) -> None:
        self._drafts, self._filters, self._refusals = drafts, filters, refusals

    def finish(self) -> Loaded:
        """Return what can be judged by, and what was refused."""
        rules = self._unique()
        flow_rules = {one.info.name: one for one in rules if one.condition is not None}
        names = {key: one.info.name for one in flow_rules.values() for key in (one.info.id, one.info.name)}
        for one in self._filters:
            self._apply(one, flow_rules, names)
        correlations = [made for one in rules if one.told for made in self._resolved(one, one.told, names)]
        loud, silent = _heard(correlations)
        made = tuple(_flow_rule(one, one.info.name in silent - loud) for one in rules if one.info.name in flow_rules)
        ruleset = RuleSet(made, tuple(one for one, _ in correlations))
        there = {one.info.name for one in ruleset.rules} | {one.info.name for one in ruleset.correlations}
        cases = tuple(case for one in rules if one.info.name in there for case in one.cases)
        return Loaded(ruleset, tuple(sorted(self._refusals, key=lambda one: (one.path, one.line))), cases)

    def _refuse(self, path: str, line: int, rule: str, cause: str, advice: str, id_: str = "") -> None:
        self._refusals.append(Refusal(path, line, rule, cause, advice, id_))

    def _unique(self) -> list[Draft]:
        kept: list[Draft] = []
        seen: dict[str, RuleInfo] = {}
        for one in self._drafts:
            for what, key in (("id", one.info.id), ("name", one.info.name)):
                if key in seen:
                    first = seen[key]
                    cause = f"its {what} '{key}' is that of {first.path}:{first.line}"
                    self._refuse(one.info.path, one.info.line, one.info.title, cause, "give each its own", one.info.id)
                    break
            else:
                kept.append(one)
                seen |= {one.info.id: one.info, one.info.name: one.info}
        return kept

    def _apply(self, one: Filter, rules: dict[str, Draft], names: dict[str, str]) -> None:
        """Narrow the rules that a filter names. One that it names in vain does not keep it from the others."""
        for reference in one.rules or ():
            if reference not in names:
                cause = f"the filter's rule '{reference}' was not loaded"
                self._refuse(one.path, one.line, one.title, cause, "name a rule on flows")
        meant = set(rules) if one.rules is None else {names[ref] for ref in one.rules if ref in names}
        for name in meant:
            before = rules[name].condition
            assert before is not None  # rules are those on flows
            rules[name].condition = all_of([before, one.condition])

    def _resolved(self, draft: Draft, told: Told, names: dict[str, str]) -> Iterator[tuple[Correlation, bool]]:
        rules = tuple(names.get(one, "") for one in told.rules)
        if "" in rules or len(set(rules)) < len(rules):
            wrong = told.rules[rules.index("")] if "" in rules else ""
            cause = f"its rule '{wrong}' was not loaded" if wrong else "it names a rule twice"
            advice = "name rules on flows, each once"
            self._refuse(draft.info.path, told.line, draft.info.title, cause, advice, draft.info.id)
            return
        aliases = {alias: {names[ref]: one for ref, one in each.items()} for alias, each in told.aliases.items()}
        counted = (told.operator, told.count, told.fields)
        yield (
            Correlation(draft.info, told.type, rules, told.timespan_us, told.group_by, aliases, *counted),
            told.generate,
        )


def _flow_rule(draft: Draft, silent: bool) -> FlowRule:
    condition = draft.condition
    assert condition is not None  # only rules on flows come here
    columns = columns_of(condition)
    return FlowRule(draft.info, sql_of(condition), columns, draft.own.first_seen, silent, condition)


def _heard(correlations: list[tuple[Correlation, bool]]) -> tuple[set[str], set[str]]:
    """Return names of rules that some correlation wants to be heard themselves, and of those that one does not."""
    loud = {name for one, generate in correlations if generate for name in one.rules}
    return loud, {name for one, generate in correlations if not generate for name in one.rules}
