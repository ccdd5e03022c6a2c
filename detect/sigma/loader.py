"""Rule files and folders to a RuleSet, and to a list of what was refused, with file and line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from detect.conditions.tree import Condition, all_of
from detect.model import Site
from detect.sigma.cases import MOST_FLOWS, Case, cases_of
from detect.sigma.correlation import Told, told_of
from detect.sigma.detection import ReadContext, condition_of, there
from detect.sigma.logsource import abroad_log, at_home, check_logsource, check_taxonomy
from detect.sigma.metadata import COMMON, Own, info_of, own_of, text, texts, words
from detect.sigma.refusals import Refusal, Refused
from detect.sigma.resolver import Draft, Filter, Loaded, Resolving
from detect.sigma.sql_check import Runner
from detect.sigma.yaml_documents import MOST_BYTES, Node, documents
from whowas.errors import ConfigError

MOST_FILES = 20_000
SHOWN = 20


def load(
    paths: Iterable[str | Path] | str | Path, site: Site | None = None, strict: bool = True, foreign: bool = False
) -> Loaded:
    """Load Sigma rules, filters and correlations.

    Args: paths: files and folders (all *.yml and *.yaml in them). site: lists that placeholders stand for. strict:
    refuse all if anything is refused; else go on with the rest. foreign: also take rules of Sigma's own taxonomy for
    other logs of connections, as far as `detect.sigma.field_mappings` finds the same meaning here.
    Returns: see Loaded.
    Raises: ConfigError naming each refusal, if strict.
    Source: Sigma specification 2.1 (rules, filters, correlations).
    """
    loading = _Loading(site or Site(), foreign)
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        loading.read(Path(path))
    loading.check_site(strict)
    found = loading.finish()
    if strict and found.refusals:
        raise ConfigError(*_all(found.refusals))
    return found


def _all(refusals: tuple[Refusal, ...]) -> list[str]:
    lines = [str(one) for one in refusals[:SHOWN]]
    if len(refusals) > SHOWN:
        lines.append(f"… and {len(refusals) - SHOWN} more")
    return lines


class _Loading:
    """One load: documents are read one by one, then what they say of each other is resolved."""

    def __init__(self, site: Site, foreign: bool) -> None:
        self._foreign = foreign
        self._runner = Runner()
        self._reading = ReadContext(site, self._runner)
        self._drafts: list[Draft] = []
        self._filters: list[Filter] = []
        self._refusals: list[Refusal] = []
        self._flows_of_cases = 0

    def read(self, path: Path) -> None:
        """Read a file or a folder."""
        files = sorted(_files(path)) if path.is_dir() else [path]
        if not files or len(files) > MOST_FILES:
            self._refuse(str(path), 0, "", Refused(f"it has {len(files)} rule files", "name a folder of *.yml files"))
            return
        for one in files:
            self._file(one)

    def check_site(self, whole: bool) -> None:
        """Refuse lists of the site's file that nothing asks for: a misspelt name would change nothing, silently.

        whole: all rules that judge are loaded; else a list may be for others, unless its name is nearly a known one.
        """
        site, asked = self._reading.site, self._reading.asked
        known = (set(site.lists) | asked) - (site.own - asked)
        for name in sorted(site.own - asked):
            near = difflib.get_close_matches(name, sorted(known), 1, 0.75)
            if near or whole:
                advice = f"did you mean '{near[0]}'?" if near else "take it out, or name the rules that ask for it"
                self._refuse(site.path, 0, "", Refused(f"no rule asks for the list '{name}'", advice))

    def _file(self, path: Path) -> None:
        self._flows_of_cases = 0
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
        abroad = self._foreign and not at_home(node)
        nodes = {key: node.value[key] for key in known if key in node.value} if abroad else words(node, known, "a rule")
        if not abroad:
            check_taxonomy(nodes)
        own = own_of(nodes, _aliases(nodes))
        info = info_of(node, nodes, own, path, stem)
        draft = Draft(info, own, self._cases(own.tests, info.name, path))
        if kind == "correlation":
            draft.told = _correlated(nodes, own)
            draft.info = replace(info, group_by=draft.told.group_by, about_columns=_about(draft.told, info.about))
        else:
            draft.condition = self._detected(node, nodes, abroad)
        self._drafts.append(draft)

    def _cases(self, node: Node | None, rule: str, path: str) -> tuple[Case, ...]:
        """Return a rule's cases. Their flows are bounded in a file: a line of one may stand for thousands."""
        found = cases_of(node, rule, path, MOST_FLOWS - self._flows_of_cases)
        self._flows_of_cases += sum(len(one.flows) for one in found)
        return found

    def _detected(self, node: Node, nodes: dict[str, Node], abroad: bool) -> Condition:
        if "detection" not in nodes:
            raise Refused("there is neither detection nor correlation", "add one", node.line)
        known = abroad_log(node, nodes) if abroad else None
        if known is None:
            check_logsource(node, nodes)
        condition = condition_of(nodes["detection"], replace(self._reading, rename=known.fields if known else None))
        if known and known.needs:
            condition = all_of([there(known.needs), condition])
        self._runner.check(condition, nodes["detection"].line)
        return condition

    def _filter(self, path: str, node: Node) -> Filter:
        nodes = words(node, (*COMMON, "logsource", "filter"), "a filter")
        check_taxonomy(nodes)
        check_logsource(node, nodes)
        told = nodes["filter"]
        if not told.is_map() or "rules" not in told.value:
            raise Refused("a filter does not say of which rules", "add rules: any, or a list of names", told.line)
        named: tuple[str, ...] | None = texts(told.value, "rules")
        if not named or [one.lower() for one in named] == ["any"]:
            named = None
        condition = condition_of(told, self._reading, beside=("rules",))
        self._runner.check(condition, told.line)
        return Filter(text(nodes, "title"), named, condition, path, told.line)

    def finish(self) -> Loaded:
        """Resolve what documents say of each other."""
        return Resolving(self._drafts, self._filters, self._refusals).finish()


def _aliases(nodes: dict[str, Node]) -> list[str]:
    told = nodes.get("correlation")
    named = told.value.get("aliases") if told is not None and told.is_map() else None
    return list(named.value) if named is not None and named.is_map() else []


def _about(told: Told, about: str) -> tuple[str, ...]:
    """Return the columns behind an alias that advice is about. Raises: Refused if the group does not tell its value."""
    if about not in told.aliases:
        return ()
    found = tuple(dict.fromkeys(told.aliases[about].values()))
    if about not in told.group_by or any(name[:4] not in ("src_", "dst_") or "." in name for name in found):
        raise Refused(f"the alias '{about}' does not tell an end", "group by it, and let it stand for ends' columns")
    return found


def _correlated(nodes: dict[str, Node], own: Own) -> Told:
    for key, told in (("group_by", own.group_by), ("first_seen", own.first_seen)):
        if told is not None:
            node = nodes["whowas"]
            advice = "use the correlation's group-by" if key == "group_by" else "put it into a rule on flows"
            raise Refused(f"whowas.{key} is not for correlations", advice, node.key_lines[key])
    return told_of(nodes["correlation"])


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
