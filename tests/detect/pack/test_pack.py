"""The rules that come with whowas: they load, hold their own cases, and say what the conventions ask for."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from detect.model import Correlation, Finding, FlowRule
from detect.pack import PACK
from detect.sigma import Loaded, load
from detect.site import load_site
from detect.views.mitre_attack import attacks, technique
from detect.views.remediation import advise
from enrich.naming import reasons as words
from enrich.naming import verdicts
from whowas.batch.rule_tests import flows_of, try_cases

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


def test_every_rule_says_which_end_its_advice_is_about_and_a_case_holds_it(pack: Loaded) -> None:
    held = {one.rule for one in pack.cases if one.advice is not None}
    for one in heard(pack):
        assert f"\n  about: {one.info.about}\n" in TEXTS[f"{one.info.name}.yml"], one.info.name
        assert one.info.name in held, one.info.name


@pytest.mark.parametrize("about", ["src", "dst"])
def test_a_case_finds_advice_about_the_wrong_end(pack: Loaded, about: str, tmp_path: Path) -> None:
    text = TEXTS["database_from_untrusted.yml"].replace("about: src", f"about: {about}")
    (tmp_path / "rule.yml").write_text(text)
    found = load([tmp_path], load_site(), strict=False)
    wrong = [one for one in try_cases(found.ruleset, found.cases) if not one.right]
    assert [one.fault for one in wrong] == ["was found, with advice about the wrong end"] * (about == "dst")
    assert all("about data/db, not dev/shell" in one.why[0] for one in wrong)


def test_no_finding_about_who_asks_a_database_cuts_the_database_off(pack: Loaded) -> None:
    """Whoever the source is: the cases' own flows, with ends that are certain pods put in their place."""
    about = {one.info.name: one.info for one in heard(pack)}
    asked = [one for one in pack.cases if one.matches and about[one.rule].about == "src"]
    assert len(asked) > 100
    for case in asked:
        for flow in flows_of(case).to_pylist():
            told = flow | {"dst_kind": "pod", "dst_confidence": "exact", "dst_pod": "db-0", "dst_pod_uid": "u"}
            made = Finding("5b", about[case.rule], (), 0, 0, 0, 1, flows=[told | {"src_labels": {}, "dst_labels": {}}])
            assert not any(pod.endswith("/db-0") for pod in advise(made).pods), case


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
            # It tells the Service's own bounds, which no rule can ask for.
            if (code, why) == (verdicts.AT_SERVICE, verdicts.EDGE):
                continue
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
