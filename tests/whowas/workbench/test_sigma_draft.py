"""The rule that is drafted from a filter: the loader of rules takes every one, and it finds what the filter leaves."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from support.workbench import HOSTILE, Served

from detect.sigma.loader import load
from whowas.query.filter_words import WORDS, Word
from whowas.workbench.database import Call
from whowas.workbench.filter_text import FilterError, read, written
from whowas.workbench.rollups import relation
from whowas.workbench.sigma_draft import draft

FILTERS = (
    "", "src=shop/web", "dst=data/db:5432 not port=53", "namespace=shop protocol=tcp", "label=app=web",
    "label=app.kubernetes.io/name=web", "where=src_confidence=exact where=src_confidence=likely",
    "not where=dst_port=53", "confidence=exact", "ip=10.0.0.1", "ip=10.0.0.0/8", "external=true", "external=false",
    "where=bytes_out=100", "kind=pod src=10.0.0.0/8:443 dst=[fd00::1]:80 port=80-90", "end=deploy/shop/web",
    "not end=node/n1 cluster=demo node=n1", "where='tls_sni=*.example.com'", "src=:443 protocol=17",
    "where=dst_ip=fd00::/8 where=tls_sni=a?b", "direction=inbound", "src=svc/shop/web dst=pod/data/db-0 end=web",
)  # fmt: skip


def loaded(tmp_path: Path, text: str) -> Any:
    """The one rule of a draft. Raises what the loader says of it."""
    path = tmp_path / "draft.yml"
    path.write_text(draft(read(text).words))
    (rule,) = load([path]).ruleset.rules
    return rule


@pytest.mark.parametrize("text", FILTERS)
def test_it_loads(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text).sql


@pytest.mark.parametrize(
    "text",
    [
        "src=data/db dst=:443", "where=src_confidence=likely not port=53", "label=app=web protocol=tcp",
        "kind=service kind=node", "ip=10.1.0.0/30 port=443-5000", "external=true", "node=node-1 not namespace=shop",
        "src=svc/shop/web", "where=tls_sni=*.example not where=src_confidence=exact",
    ],
)  # fmt: skip
def test_it_finds_what_the_filter_leaves(page: Served, tmp_path: Path, text: str) -> None:
    """But for the candidates of ambiguous ends: these a rule weighs by itself."""
    text += " not confidence=ambiguous"
    rule = loaded(tmp_path, text)
    told = page.ask("/api/flows", {"filter": text, "limit": 1000, "columns": ["flow_id"]}).json["flow_id"]
    with page.bench._asking(Call()) as asking:
        every = " UNION ALL BY NAME ".join(f"({relation(asking.link, one)})" for one in asking.state.found.hours)
        found = asking.rows(f"SELECT flow_id FROM ({every}) WHERE {rule.sql}", [])
    assert sorted(told) == sorted(row[0] for row in found)
    assert told


def test_what_no_column_tells_is_left_for_people() -> None:
    text = draft(read("external=false src=shop/web").words)
    assert "# write by hand: 'external=false'" in text


def test_the_same_filter_is_the_same_rule() -> None:
    first, second = (draft(read(one).words) for one in ("src=a/b", "src=a/c"))
    assert first == draft(read("src=a/b").words)
    assert first != second


def test_whatever_is_typed_makes_a_rule_that_loads(tmp_path: Path) -> None:
    dice = random.Random(14)
    letters = ["a", "/", "*", "?", "\\", '"', "'", ":", "{", "}", "#", "\u202e", "\x85", "é", "𐍈", "%", "|", "\n", " "]
    tried = 0
    for _ in range(400):
        value = "".join(dice.choices(letters, k=dice.randrange(1, 9)))
        value = dice.choice([value, dice.choice(HOSTILE)[:80], "shop/web:443", "10.0.0.1"])
        word = dice.choice([*WORDS])
        if word in ("where", "label"):
            value = f"{dice.choice(['src_workload', 'tls_sni', 'src_labels.a', 'app'])}={value}"
        text = written((Word(word, value),))
        try:
            read(text)
        except FilterError:
            continue
        loaded(tmp_path, text)
        tried += 1
    assert tried > 100
