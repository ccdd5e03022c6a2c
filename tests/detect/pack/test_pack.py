"""The rules that come with whowas: they load, hold their own cases, and say what the conventions ask for."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from detect.model import Correlation, FlowRule
from detect.pack import PACK
from detect.sigma import Loaded, load
from detect.site import load_site
from detect.views.mitre_attack import attacks, technique
from enrich.naming import reasons as words
from enrich.naming import verdicts
from whowas.batch.rule_tests import try_cases

TEXTS = {one.name: one.read_text() for one in sorted(PACK.glob("*.yml"))}


@pytest.fixture(scope="module")
def pack() -> Loaded:
    return load([PACK], load_site())


def heard(pack: Loaded) -> list[FlowRule | Correlation]:
    """Rules that make findings."""
    return [*(one for one in pack.ruleset.rules if not one.silent), *pack.ruleset.correlations]


def test_every_rule_holds_its_own_cases(pack: Loaded) -> None:
    wrong = [f"{one.case.path}:{one.case.line} {one.case.title}: {one.why}" for one in
             try_cases(pack.ruleset, pack.cases) if not one.right]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_every_rule_has_two_cases_of_each_kind(pack: Loaded) -> None:
    counted = Counter((one.rule, one.matches) for one in pack.cases)
    few = [(one.info.name, kind) for one in heard(pack) for kind in (True, False) if counted[one.info.name, kind] < 2]
    assert len(heard(pack)) >= 30
    assert not few


def test_every_rule_says_why_and_where_it_errs(pack: Loaded) -> None:
    for one in heard(pack):
        info = one.info
        assert len(info.description) > 80, info.name
        assert info.false_positives, info.name
        assert UUID(info.id).version == 4, info.name
        assert PACK / f"{info.name}.yml" == PACK / info.path.rpartition("/")[2], info.name


def test_techniques_are_known_and_fit_their_tactics(pack: Loaded) -> None:
    for one in heard(pack):
        assert one.info.attacks, one.info.name
        assert all(technique(each).name for each in one.info.attacks), (one.info.name, one.info.attacks)
        alone = [pair for pair in attacks(one.info) if None in pair]
        assert not alone, (one.info.name, alone)
        served = {tactic.word for _, each in attacks(one.info) if each for tactic in each.tactics}
        said = {tag.removeprefix("attack.") for tag in one.info.tags} - {tag for tag in one.info.tags if ".t" in tag}
        assert all(word in served for word in said if not re.match(r"t\d", word)), one.info.name


def test_the_sites_lists_and_the_placeholders_are_the_same() -> None:
    used = {name for text in TEXTS.values() for name in re.findall(r"%(\w+)%", text)}
    assert used == set(load_site().lists)


def reasons() -> set[str]:
    """Every reason that an unnamed end, a node or a Service can have."""
    told = set()
    for code in range(verdicts.AMBIGUOUS, verdicts.UNKNOWN + 1):
        for why in range(verdicts.EXPORTED + 1):
            told |= {words.reason(None, code, -1, why, inside) for inside in ("", "private")}  # type: ignore[arg-type]
    return told


def test_reasons_that_rules_ask_for_are_reasons_that_names_have() -> None:
    """The words of a reason are a condition here: a change in enrich/naming/reasons.py changes the rules."""
    known = reasons() | {"a node's address, and the only host-network pod that declares this port"}
    asked = [
        (name, spelt.strip("'\""), starts)
        for name, text in TEXTS.items()
        for detection in re.findall(r"^detection:\n((?:  .*\n)+)", text, re.M)
        for starts, spelt in re.findall(r"(?:src|dst)_reason(\|startswith)?: ('[^']*'|\"[^\"]*\"|[^,}\n]*)", detection)
    ]
    assert len(asked) >= 10
    for name, spelt, starts in asked:
        assert any(one.startswith(spelt) if starts else one == spelt for one in known), (name, spelt)


def test_a_wrong_case_is_told_with_the_flow_and_the_cause(pack: Loaded) -> None:
    told = [one for one in pack.cases if one.rule == "ssh_to_node"]
    turned: list[Any] = [vars(one) | {"matches": not one.matches} for one in told]
    tried = list(try_cases(pack.ruleset, [type(told[0])(**one) for one in turned]))
    assert not any(one.right for one in tried)
    why = " ".join(line for one in tried for line in one.why)
    assert "it was found: 1 of 1 flows" in why
    assert "flow 1: src_kind is node, which is not lower(src_kind) = 'pod'" in why
