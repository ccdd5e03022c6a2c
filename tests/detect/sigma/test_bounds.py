"""Small files that would become large: refused by counting, before anything is expanded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.sigma.rule_texts import correlation, filed, rule

from detect.model import Site
from detect.sigma import bounds, load

ALL_WAYS = "1 of s* and all of them and not 1 of them"


def selections(number: int, condition: str = ALL_WAYS) -> str:
    values = [", ".join(map(str, range(one * 10, one * 10 + 10))) for one in range(number)]
    return "\n".join(f"  s{n}: {{src_port: [{one}]}}" for n, one in enumerate(values)) + f"\n  condition: {condition}"


def refusals(folder: Path, *texts: str) -> list[str]:
    return [str(one) for one in load(filed(folder, *texts), Site({"l": tuple("ab")}), strict=False).refusals]


def test_a_condition_is_counted_before_it_is_written_out(tmp_path: Path) -> None:
    """800 selections, each named three times."""
    (told,) = refusals(tmp_path, rule(selections(800)))
    assert told.startswith(f"{tmp_path}/rules.yml:808: cannot load rule 'Rule 1': the condition asks for 20,010 tests")
    assert "the most is 20,000; name each selection once, or split the rule" in told


def test_what_is_counted_is_what_is_named(tmp_path: Path) -> None:
    assert refusals(tmp_path, rule(selections(800, "1 of s*"))) == []
    assert refusals(tmp_path, rule(selections(80, "1 of them and not 1 of s7*"))) == []


def calls(work: Callable[[], Any]) -> int:
    """How many functions a piece of work calls: its size, whatever the machine does beside it."""
    counted = 0

    def count(_: Any, event: str, __: Any) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted


@pytest.mark.parametrize("condition", [ALL_WAYS, "1 of s* or not 1 of s*", "all of them"])
def test_work_grows_as_the_rule_does(tmp_path: Path, condition: str) -> None:
    def loaded(number: int) -> int:
        path = filed(tmp_path, rule(selections(number, condition)))
        return calls(lambda: load(path, strict=False))

    loaded(10)  # what is done once
    small, large = loaded(100), loaded(400)
    assert large < 5 * small


def test_the_check_of_the_engine_does_not_optimize() -> None:
    """Its optimizer's work grows by the cube of the tests: 19 s for a hundred selections named three times."""
    from detect.sigma.sql_check import Runner

    plan = Runner()._database.execute("EXPLAIN SELECT 1 + 1 = 3 AND src_port = 1 FROM flows").fetchall()
    assert "1 + 1" in str(plan)


BOMBS = {
    "dashes": (
        "  s:\n    src_pod|windash|contains:" + "\n      - ' -a -b -c'" * 90 + "\n  condition: s",
        "10,000 values",
    ),
    "offsets": (
        "  s:\n    src_pod|base64offset|contains:"
        + "".join(f"\n      - a{n}" for n in range(3_400))
        + "\n  condition: s",
        "10,000 values",
    ),
    "lists": ("  s: {src_pod|expand: '" + "%l%" * 14 + "'}\n  condition: s", "stand for more than 10,000 values"),
    "stars": ("  s: {src_pod: a}\n  condition: 1 of *s*s*s*", "'of *s*s*s*' has more than 2 stars"),
    "a long name": (f"  {'s' * 200}: {{src_pod: a}}\n  condition: 1 of them", "is no name for a selection"),
    "selections": (
        "".join(f"  s{n}: {{src_port: {n}}}\n" for n in range(1_001)) + "  condition: 1 of them",
        "a detection has 1,001 selections, more than 1,000",
    ),
    "nots": (
        "  s: {src_pod: a}\n  condition: " + "not (" * 15 + "not(" * 15 + "s" + ")" * 30,
        "a condition is too long",
    ),
    "regular expressions": ("  s: {src_pod|re: '((a{100}){100}){100}'}\n  condition: s", "none of RE2"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_with_little_work(tmp_path: Path, name: str) -> None:
    detection, cause = BOMBS[name]
    path = filed(tmp_path, rule(detection))
    load(path, strict=False)
    found: list[str] = []
    work = calls(lambda: found.extend(refusals(tmp_path, rule(detection))))
    (told,) = found
    assert cause in told
    assert work < 40 * len(path.read_text()) + 40_000


def test_an_expression_that_is_none_is_not_written_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (told,) = refusals(tmp_path, rule('  s: {src_pod|re: "\\e]0;x\\a("}\n  condition: s'))
    assert "none of RE2" in told
    assert capfd.readouterr().err == ""


def test_stars_side_by_side_are_one(tmp_path: Path) -> None:
    assert refusals(tmp_path, rule("  s: {src_pod: a}\n  condition: 1 of s*****")) == []


def test_cases_of_a_whole_file_are_bounded_together(tmp_path: Path) -> None:
    more = "whowas:\n  tests:\n    match:\n      - {times: 10000, dst_port: 22}\n"
    texts = [rule("  s: {dst_port: 22}\n  condition: s", number, more) for number in range(1, 8)]
    told = refusals(tmp_path, *texts)
    assert len(told) == 2
    assert all("more than 50,000 flows, all of the file counted" in one for one in told)


def test_correlations_do_not_chain(tmp_path: Path) -> None:
    """A correlation looks at rules on flows alone, so that none can be built on another."""
    body = "  type: event_count\n  rules: [correlation-{}]\n  timespan: 1m\n  condition: {{gte: 2}}"
    texts = [correlation(body.format(number - 1), number) for number in range(51, 251)]
    told = refusals(tmp_path, *texts)
    assert len(told) == 200
    assert all("was not loaded; name rules on flows" in one for one in told)


@pytest.mark.parametrize(("given", "made"), [(["a"], 1), ([" -a /b"], 25), ([" -a -b -c -d"], 125), ([5, " -a"], 6)])
def test_spellings_are_counted_as_pysigma_makes_them(given: list[Any], made: int) -> None:
    assert bounds.spellings(["windash"], given) == made
    assert bounds.spellings(["contains"], given) == len(given)
    assert bounds.spellings(["base64offset"], given) == 3 * len(given)
