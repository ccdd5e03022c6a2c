"""Lists of a site: those delivered, what a user's file replaces, adds, or says wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from detect.matching.matcher import Matcher
from detect.pack import PACK
from detect.sigma import load
from detect.site import load_site
from whowas.batch.rule_tests import flows_of, only
from whowas.errors import ConfigError


def site(tmp_path: Path, text: str) -> str:
    path = tmp_path / "site.toml"
    path.write_text(text)
    return str(path)


def test_a_file_replaces_and_adds(tmp_path: Path) -> None:
    told = load_site(site(tmp_path, "[lists]\nmining_ports = [1, 2]\nown = 'x'\n[add]\nssh_clients = ['me']\n"))
    assert told.lists["mining_ports"] == ("1", "2")
    assert told.lists["own"] == ("x",)
    delivered = load_site().lists
    assert told.lists["ssh_clients"] == (*delivered["ssh_clients"], "me")
    assert told.lists["database_ports"] == delivered["database_ports"]


def test_a_list_that_no_rule_asks_for_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    misspelt = load_site(site(tmp_path, "[add]\nssh_client = ['me']\n"))
    with pytest.raises(ConfigError, match=r"no rule asks for the list 'ssh_client'; did you mean 'ssh_clients'"):
        load([PACK], misspelt)
    alone = load_site(site(tmp_path, "[lists]\nour_printers = ['me']\n"))
    with pytest.raises(ConfigError, match=r"no rule asks for the list 'our_printers'; take it out"):
        load([PACK], alone)
    # A check of single files may be of other rules than those that ask for it.
    assert not load([PACK], alone, strict=False).refusals
    assert len(load([PACK], misspelt, strict=False).refusals) == 1


@pytest.mark.parametrize(("text", "cause"), [
    ("[lists]\na = [1.5]\n", "1.5 is neither text nor whole number"),
    ("[lists]\na = [true]\n", "True is neither text nor whole number"),
    ("[lists]\n'a b' = []\n", "'a b' is no name for a list"),
    ("[list]\na = []\n", "'list' is not known"),
    ("lists = 3\n", "lists is no table"),
    ("[lists\n", "at line 1"),
])  # fmt: skip
def test_mistakes_are_named(text: str, cause: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read site") as caught:
        load_site(site(tmp_path, text))
    assert cause in str(caught.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_site("/no/such.toml")


def test_a_list_of_clients_makes_the_rule_on_databases_tell_the_others(tmp_path: Path) -> None:
    """As delivered everybody inside may use databases; a site that lists its clients hears of the rest."""
    told = load_site(site(tmp_path, "[lists]\ndatabase_clients = ['batch']\n"))
    path = PACK / "database_outside_allow_list.yml"
    delivered, own = load([path], load_site()), load([path], told)
    case = next(one for one in own.cases if one.title == "ignore 1")
    assert case.flows[0].columns["src_namespace"] == "shop"
    for loaded, rows in ((delivered, []), (own, [0])):
        matched = Matcher(only(loaded.ruleset, path.stem)).match(flows_of(case))
        assert matched.get(path.stem, []) == rows
