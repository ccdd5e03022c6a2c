"""Rule files and folders to a RuleSet, and to a list of what was refused, with file and line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detect.conditions import Condition, all_of, columns_of, sql_of
from detect.model import Correlation, FlowRule, RuleInfo, RuleSet, Site
from detect.sigma.cases import Case, cases_of
from detect.sigma.correlation import Told, told_of
from detect.sigma.detection import Reading, condition_of, there
from detect.sigma.documents import MOST_BYTES, Node, documents
from detect.sigma.foreign import Log, log
from detect.sigma.header import COMMON, Own, info_of, own_of, text, texts, words
from detect.sigma.refusing import Refusal, Refused
from detect.sigma.running import Runner
from whowas.errors import ConfigError

LOGSOURCE = {"category": "network_flow", "product": "kubernetes"}
TAXONOMY = "whowas"
MOST_FILES = 20_000
SHOWN = 20


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
class _Draft:
    """A document on its way. One of condition (rule, filter) and told (correlation) is there."""

    info: RuleInfo
    own: Own
    cases: tuple[Case, ...] = ()
    condition: Condition | None = None
    told: Told | None = None


@dataclass
class _Filter:
    """A filter document. rules: None for any."""

    title: str
    rules: tuple[str, ...] | None
    condition: Condition
    path: str
    line: int


def load(
    paths: Iterable[str | Path] | str | Path, site: Site | None = None, strict: bool = True, foreign: bool = False
) -> Loaded:
    """Load Sigma rules, filters and correlations.

    Args: paths: files and folders (all *.yml and *.yaml in them). site: lists that placeholders stand for. strict:
    refuse all if anything is refused; else go on with the rest. foreign: also take rules of Sigma's own taxonomy for
    other logs of connections, as far as `detect.sigma.foreign` finds the same meaning here.
    Returns: see Loaded.
    Raises: ConfigError naming each refusal, if strict.
    Source: Sigma specification 2.1 (rules, filters, correlations).
    """
    loading = _Loading(site or Site(), foreign)
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        loading.read(Path(path))
    found = loading.finish()
    if strict and found.refusals:
        raise ConfigError(_all(found.refusals))
    return found


def _all(refusals: tuple[Refusal, ...]) -> str:
    lines = [str(one) for one in refusals[:SHOWN]]
    if len(refusals) > SHOWN:
        lines.append(f"… and {len(refusals) - SHOWN} more")
    return "\n".join(lines)


class _Loading:
    """One load: documents are read one by one, then what they say of each other is resolved."""

    def __init__(self, site: Site, foreign: bool) -> None:
        self._foreign = foreign
        self._runner = Runner()
        self._reading = Reading(site, self._runner)
        self._drafts: list[_Draft] = []
        self._filters: list[_Filter] = []
        self._refusals: list[Refusal] = []

    def read(self, path: Path) -> None:
        """Read a file or a folder."""
        files = sorted(_files(path)) if path.is_dir() else [path]
        if not files or len(files) > MOST_FILES:
            self._refuse(str(path), 0, "", Refused(f"it has {len(files)} rule files", "name a folder of *.yml files"))
            return
        for one in files:
            self._file(one)

    def _file(self, path: Path) -> None:
        try:
            content = _content(path)
            for node in documents(content):
                self._document(path, node)
        except Refused as refused:
            self._refuse(str(path), refused.line or 1, "", refused)

    def _refuse(self, path: str, line: int, rule: str, refused: Refused) -> None:
        self._refusals.append(Refusal(path, refused.line or line, rule, refused.cause, refused.advice))

    def _document(self, path: Path, node: Node) -> None:
        title = ""
        try:
            if not node.is_map():
                raise Refused("a document is no rule", "write title:, id:, logsource: and detection:", node.line)
            title = text(node.value, "title", 256) if "title" in node.value else ""
            self._sorted(str(path), path.stem, node)
        except Refused as refused:
            self._refuse(str(path), node.line, title, refused)

    def _sorted(self, path: str, stem: str, node: Node) -> None:
        if "action" in node.value:
            raise Refused("documents that build on each other are not honoured", "write each rule whole", node.line)
        if "filter" in node.value:
            self._filters.append(self._filter(path, node))
            return
        kind = "correlation" if "correlation" in node.value else "detection"
        known = (*COMMON, "whowas", kind, *(("logsource",) if kind == "detection" else ()))
        abroad = self._foreign and not _at_home(node)
        nodes = {key: node.value[key] for key in known if key in node.value} if abroad else words(node, known, "a rule")
        if not abroad:
            _taxonomy(nodes)
        own = own_of(nodes)
        info = info_of(node, nodes, own, path, stem)
        draft = _Draft(info, own, cases_of(own.tests, info.name, path))
        if kind == "correlation":
            draft.told = _correlated(nodes, own)
            draft.info = replace(info, group_by=draft.told.group_by)
        else:
            draft.condition = self._detected(node, nodes, abroad)
        self._drafts.append(draft)

    def _detected(self, node: Node, nodes: dict[str, Node], abroad: bool) -> Condition:
        if "detection" not in nodes:
            raise Refused("there is neither detection nor correlation", "add one", node.line)
        known = _abroad(node, nodes) if abroad else None
        if known is None:
            _logsource(node, nodes)
        condition = condition_of(nodes["detection"], replace(self._reading, rename=known.fields if known else None))
        if known and known.needs:
            condition = all_of([there(known.needs), condition])
        self._runner.check(condition, nodes["detection"].line)
        return condition

    def _filter(self, path: str, node: Node) -> _Filter:
        nodes = words(node, (*COMMON, "logsource", "filter"), "a filter")
        _taxonomy(nodes)
        _logsource(node, nodes)
        told = nodes["filter"]
        if not told.is_map() or "rules" not in told.value:
            raise Refused("a filter does not say of which rules", "add rules: any, or a list of names", told.line)
        named: tuple[str, ...] | None = texts(told.value, "rules")
        if not named or [one.lower() for one in named] == ["any"]:
            named = None
        condition = condition_of(told, self._reading, beside=("rules",))
        self._runner.check(condition, told.line)
        return _Filter(text(nodes, "title"), named, condition, path, told.line)

    def finish(self) -> Loaded:
        """Resolve what documents say of each other."""
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

    def _unique(self) -> list[_Draft]:
        kept: list[_Draft] = []
        seen: dict[str, RuleInfo] = {}
        for one in self._drafts:
            for what, key in (("id", one.info.id), ("name", one.info.name)):
                if key in seen:
                    first = seen[key]
                    cause = f"its {what} '{key}' is that of {first.path}:{first.line}"
                    self._refuse(one.info.path, one.info.line, one.info.title, Refused(cause, "give each its own"))
                    break
            else:
                kept.append(one)
                seen |= {one.info.id: one.info, one.info.name: one.info}
        return kept

    def _apply(self, one: _Filter, rules: dict[str, _Draft], names: dict[str, str]) -> None:
        """Narrow the rules that a filter names. One that it names in vain does not keep it from the others."""
        for reference in one.rules or ():
            if reference not in names:
                unknown = Refused(f"the filter's rule '{reference}' was not loaded", "name a rule on flows", one.line)
                self._refuse(one.path, one.line, one.title, unknown)
        meant = set(rules) if one.rules is None else {names[ref] for ref in one.rules if ref in names}
        for name in meant:
            before = rules[name].condition
            assert before is not None  # rules are those on flows
            rules[name].condition = all_of([before, one.condition])

    def _resolved(self, draft: _Draft, told: Told, names: dict[str, str]) -> Iterator[tuple[Correlation, bool]]:
        for reference in told.rules:
            if reference not in names:
                cause = f"the correlation's rule '{reference}' was not loaded"
                refused = Refused(cause, "name a rule on flows", told.line)
                self._refuse(draft.info.path, told.line, draft.info.title, refused)
                return
        aliases = {alias: {names[ref]: one for ref, one in each.items()} for alias, each in told.aliases.items()}
        rules = tuple(names[one] for one in told.rules)
        counted = (told.operator, told.count, told.fields)
        yield (
            Correlation(draft.info, told.type, rules, told.timespan_us, told.group_by, aliases, *counted),
            told.generate,
        )


def _flow_rule(draft: _Draft, silent: bool) -> FlowRule:
    condition = draft.condition
    assert condition is not None  # only rules on flows come here
    columns = columns_of(condition)
    return FlowRule(draft.info, sql_of(condition), columns, draft.own.first_seen, silent, condition)


def _heard(correlations: list[tuple[Correlation, bool]]) -> tuple[set[str], set[str]]:
    """Return names of rules that some correlation wants to be heard themselves, and of those that one does not."""
    loud = {name for one, generate in correlations if generate for name in one.rules}
    return loud, {name for one, generate in correlations if not generate for name in one.rules}


def _correlated(nodes: dict[str, Node], own: Own) -> Told:
    for key, told in (("group_by", own.group_by), ("first_seen", own.first_seen)):
        if told is not None:
            node = nodes["whowas"]
            advice = "use the correlation's group-by" if key == "group_by" else "put it into a rule on flows"
            raise Refused(f"whowas.{key} is not for correlations", advice, node.key_lines[key])
    return told_of(nodes["correlation"])


def _at_home(node: Node) -> bool:
    return "taxonomy" in node.value and node.value["taxonomy"].value == TAXONOMY


def _abroad(node: Node, nodes: dict[str, Node]) -> Log:
    """Return which log a rule of another taxonomy is written for."""
    if text(nodes, "taxonomy") not in ("", "sigma"):
        raise Refused(
            f"its taxonomy is '{text(nodes, 'taxonomy')}'", f"use {TAXONOMY} or sigma", nodes["taxonomy"].line
        )
    told = nodes.get("logsource")
    if told is None or not told.is_map():
        raise Refused("there is no logsource", "add one", node.line)
    named = [told.value[key].value if key in told.value else None for key in ("category", "product", "service")]
    found = log(*named)
    if found is None:
        what = " ".join(f"{one}" for one in named if one is not None)
        raise Refused(f"its logsource, {what}, does not tell of flows", "leave it to another tool", told.line)
    return found


def _taxonomy(nodes: dict[str, Node]) -> None:
    named = text(nodes, "taxonomy")
    if named != TAXONOMY:
        line = nodes["taxonomy"].line if "taxonomy" in nodes else 0
        cause = f"its taxonomy is '{named or 'sigma'}'"
        raise Refused(cause, f"write taxonomy: {TAXONOMY} and the columns' names as fields", line)


def _logsource(node: Node, nodes: dict[str, Node]) -> None:
    if "logsource" not in nodes:
        raise Refused("there is no logsource", "add category: network_flow and product: kubernetes", node.line)
    told = words(nodes["logsource"], (*LOGSOURCE, "service", "definition"), "logsource")
    found: dict[str, Any] = {key: one.value for key, one in told.items() if key != "definition"}
    if found != LOGSOURCE:
        cause = "its logsource is not network_flow of kubernetes"
        raise Refused(cause, "write category: network_flow, product: kubernetes, no service", nodes["logsource"].line)


def _files(folder: Path) -> Iterator[Path]:
    for one in folder.rglob("*"):
        if one.suffix in (".yml", ".yaml") and one.is_file():
            yield one


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise Refused(f"it is larger than {MOST_BYTES:,} bytes", "split it up", 1)
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise Refused(f"it cannot be read: {error.strerror or error}", "check the path", 1) from error
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Refused("it is not UTF-8", "save it as UTF-8", line) from error
