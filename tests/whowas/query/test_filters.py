"""Filters: what they leave is what Python says of the same rows, whatever is in the values; and their mistakes."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whowas.addresses import address16
from whowas.errors import ConfigError
from whowas.query.database import Asked, Database
from whowas.query.filter_words import WORDS, Word, parse, parse_negated
from whowas.query.filters import sql_of
from whowas.query.noise import NOISE
from whowas.schema import CONFIDENCES, KINDS, table_schema

TEXTS = (
    "web", "db", "we", "", "it's", '"; DROP', "50%", "a_b", "axb", "x\\y", "\\", "n\nl", "\0z", "ü", "\u202eevil", "?",
    "$1", "' OR 1=1 --", "WEB", "w" * 10_000,
)  # fmt: skip
IPS = ("10.1.2.3", "10.255.0.1", "11.0.0.1", "fd00::1", "fd00::ff", "224.0.0.251", "169.254.169.254", "::", "0.0.0.0")
PORTS = (0, 53, 443, 5432, 65535, None)
Row = dict[str, Any]
Says = Callable[[Row], bool]


class Wish(NamedTuple):
    """A word, and what it means in Python."""

    word: Word
    says: Says


def made_up(count: int, seed: int) -> list[Row]:
    dice = random.Random(seed)

    def pick(several: Any) -> Any:
        return dice.choice([*several, None])

    return [_row(number, dice, pick) for number in range(count)]


def _row(number: int, dice: random.Random, pick: Any) -> Row:
    row: Row = {"flow_id": f"{number:032x}", "start_time": number * 1_000_000, "protocol": pick(("tcp", "udp", "47"))}
    row["protocol_number"] = pick((6, 17, 47))
    row["tls_sni"] = pick(TEXTS)
    row["direction"] = pick(("internal", "inbound"))
    for side in ("src", "dst"):
        ip = dice.choice(IPS)
        row |= {f"{side}_ip": ip, f"{side}_ip16": address16(ip), f"{side}_port": dice.choice(PORTS)}
        row |= {f"{side}_confidence": dice.choice(CONFIDENCES), f"{side}_kind": pick(KINDS)}
        row |= {f"{side}_{name}": pick(TEXTS) for name in ("namespace", "workload", "pod", "service", "node")}
        row[f"{side}_workload_kind"] = pick(("Deployment", "StatefulSet"))
        row[f"{side}_labels"] = pick(([], [("app", dice.choice(TEXTS)), (dice.choice(TEXTS) or "k", "v")]))
        if row[f"{side}_confidence"] == "ambiguous":
            names = ("kind", "namespace", "name", "workload")
            row[f"{side}_candidates"] = [{name: pick(TEXTS) for name in names} for _ in range(2)]
    return row


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return made_up(250, 7)


@pytest.fixture(scope="module")
def database(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder: Path = tmp_path_factory.mktemp("flows")
    known = {name for row in rows for name in row}
    plain = [(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in table_schema()]
    table = pa.Table.from_pylist(rows, schema=pa.schema([one for one in plain if one[0] in known]))
    pq.write_table(table, folder / "a.parquet")
    with Database(folder) as found:
        found.lock()
        yield found


def left(database: Database, *words: Word) -> set[str]:
    where, parameters = sql_of(parse(words))
    return {one for (one,) in database.rows(Asked(f"SELECT flow_id FROM flows WHERE {where}", parameters))}


def fits(pattern: str, value: str | None) -> bool:
    return value is not None and bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), value, re.DOTALL))


def may_be(row: Row, side: str, namespace: str | None, name: str) -> bool:
    """Some candidate of an ambiguous end has the name."""
    return row[f"{side}_confidence"] == "ambiguous" and any(
        (namespace is None or fits(namespace, one["namespace"]))
        and (fits(name, one["workload"]) or fits(name, one["name"]))
        for one in row.get(f"{side}_candidates") or ()
    )


def is_named(row: Row, side: str, namespace: str | None, name: str) -> bool:
    kind = row[f"{side}_kind"]
    held = fits(name, row[f"{side}_workload"]) or fits(name, row[f"{side}_pod"])
    held = held or (kind == "service" and fits(name, row[f"{side}_service"]))
    if namespace is None:
        return held or (kind == "node" and fits(name, row[f"{side}_node"]))
    return held and fits(namespace, row[f"{side}_namespace"])


patterns = st.sampled_from([one for one in TEXTS if one]) | st.text(max_size=6).map(lambda one: one + "*")
patterns = patterns | st.tuples(st.sampled_from(TEXTS), st.sampled_from(TEXTS)).map("*".join)
values = patterns.filter(lambda one: one.count("*") < 8 and "\ud800" not in ascii(one))
# What a name cannot be: a path, a port, an address.
names = values.filter(lambda one: not set("/:[]") & set(one) and not re.fullmatch(r"[0-9.]+", one.strip()))


@st.composite
def ends(draw: Any) -> Wish:
    side, namespace, name = draw(st.sampled_from(("src", "dst", "end"))), draw(st.none() | names), draw(names)
    sides = ("src", "dst") if side == "end" else (side,)
    if namespace == "node":
        namespace = "other"
    negated = draw(st.booleans())
    text = name if namespace is None else f"{namespace}/{name}"

    def says(row: Row) -> bool:
        found = any(is_named(row, one, namespace, name) for one in sides)
        # Left out is what is so for certain; found what may be so.
        return not found if negated else found or any(may_be(row, one, namespace, name) for one in sides)

    return Wish(Word(side, text, negated), says)


def either(test: Callable[[Row, str], bool]) -> Says:
    return lambda row: any(test(row, side) for side in ("src", "dst"))


OTHERS = ("label", "where", "port", "ip", "protocol", "direction", "kind", "node", "src_labels")


@st.composite
def others(draw: Any) -> Wish:
    kind, value = draw(st.sampled_from(OTHERS)), draw(values)
    if kind == "label":
        key = draw(st.sampled_from(("app", "it's", "k", "\0z")))
        return Wish(Word("label", f"{key}={value}"), either(lambda row, side: labelled(row, side, key, value)))
    if kind == "src_labels":
        return Wish(Word("where", f"src_labels.app={value}"), lambda row: labelled(row, "src", "app", value))
    if kind == "where":
        return Wish(Word("where", f"tls_sni={value}"), lambda row: fits(value, row["tls_sni"]))
    if kind == "node":
        return Wish(Word("node", value), either(lambda row, side: fits(value, row[f"{side}_node"])))
    if kind == "port":
        low, high = sorted(draw(st.tuples(st.integers(0, 65535), st.sampled_from(PORTS[:5]))))
        ports = range(low, high + 1)
        return Wish(Word("port", f"{low}-{high}"), either(lambda row, side: row[f"{side}_port"] in ports))
    if kind == "ip":
        net, first = draw(st.sampled_from((("10.0.0.0/8", "10."), ("fd00::/16", "fd00:"), ("11.0.0.1", "11.0.0.1"))))
        return Wish(Word("ip", net), either(lambda row, side: row[f"{side}_ip"].startswith(first)))
    if kind == "protocol":
        return Wish(Word("protocol", "17"), lambda row: row["protocol_number"] == 17)
    if kind == "direction":
        return Wish(Word("direction", "inbound"), lambda row: row["direction"] == "inbound")
    return Wish(Word("kind", "pod"), either(lambda row, side: row[f"{side}_kind"] == "pod"))


def labelled(row: Row, side: str, key: str, value: str) -> bool:
    return fits(value, dict(row[f"{side}_labels"] or ()).get(key))


def _once(wish: Wish) -> tuple[str, bool]:
    return wish.word.word, wish.word.negated


@settings(max_examples=300, deadline=None)
@given(wishes=st.lists(ends() | others(), min_size=1, max_size=4, unique_by=_once))
def test_what_is_left_is_what_python_says(database: Database, rows: list[Row], wishes: list[Wish]) -> None:
    assert left(database, *(one.word for one in wishes)) == {
        row["flow_id"] for row in rows if all(one.says(row) for one in wishes)
    }


def test_values_of_one_word_are_alternatives(database: Database) -> None:
    both = left(database, Word("port", "53"), Word("port", "443"))
    assert both == left(database, Word("port", "53")) | left(database, Word("port", "443")) != set()
    apart = left(database, Word("label", "app=web"), Word("label", "it's=v"))
    assert apart == left(database, Word("label", "app=web")) & left(database, Word("label", "it's=v"))


def test_an_end_has_an_address_a_port_or_both(database: Database, rows: list[Row]) -> None:
    def found(says: Says) -> set[str]:
        return {row["flow_id"] for row in rows if says(row)}

    assert left(database, Word("dst", ":443")) == found(lambda row: row["dst_port"] == 443) != set()
    wanted = found(lambda row: row["dst_ip"] == "fd00::1" and row["dst_port"] == 443)
    assert left(database, Word("dst", "[fd00::1]:443")) == wanted
    assert left(database, Word("dst", "fd00::1")) == found(lambda row: row["dst_ip"] == "fd00::1") != set()
    assert left(database, Word("src", "10.0.0.0/8:53")) == found(
        lambda row: row["src_ip"].startswith("10.") and row["src_port"] == 53
    )


def test_what_may_be_left_out_stays(database: Database, rows: list[Row]) -> None:
    certain = {row["flow_id"] for row in rows if is_named(row, "dst", None, "web")}
    possible = {row["flow_id"] for row in rows if may_be(row, "dst", None, "web")} - certain
    assert possible
    assert left(database, Word("dst", "web")) == certain | possible
    assert left(database, parse_negated("dst=web")) == {row["flow_id"] for row in rows} - certain


def test_noise_is_never_the_address_that_hands_out_credentials(database: Database, rows: list[Row]) -> None:
    where, parameters = sql_of(NOISE)
    noise = {one for (one,) in database.rows(Asked(f"SELECT flow_id FROM flows WHERE {where}", parameters))}
    told = {row["flow_id"]: row for row in rows}
    assert all(told[one]["dst_ip"] != "169.254.169.254" or told[one]["src_ip"] in ("169.254.169.254", "0.0.0.0")
               for one in noise)  # fmt: skip
    assert {row["flow_id"] for row in rows if row["dst_ip"] == "224.0.0.251"} <= noise


@pytest.mark.parametrize(("word", "value", "text"), [
    ("src", "a/b/c/d", "a name is"), ("src", "shop/", "a name is"), ("src", "10.0.0/8", "neither an address"),
    ("src", "10.244.1.999", "neither an address"), ("dst", "shop/web:99999", "as a port"),
    ("port", "http", "as a port"),
    ("port", "90-80", "as a port"), ("ip", "web", "as an address"), ("kind", "Pod", "one of pod"),
    ("confidence", "sure", "one of exact"), ("label", "app", "KEY=VALUE"), ("where", "dst_workloa=x", "did you mean"),
    ("where", "start_time=1", "since"), ("where", "src_port=x", "it is a number"), ("where", "x", "FIELD=VALUE"),
    ("external", "yes", "true or false"), ("direction", "up", "one of internal"), ("sorce", "x", "did you mean"),
    ("src", "", "empty"), ("src", "*" * 40, "more than"), ("src", "x" * 70_000, "too long"),
])  # fmt: skip
def test_mistakes_are_explained(word: str, value: str, text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        parse([Word(word, value)])


@settings(max_examples=300, deadline=None)
@given(word=st.sampled_from(sorted(WORDS)), value=st.text(max_size=30), negated=st.booleans())
def test_any_value_is_a_filter_or_a_mistake(database: Database, word: str, value: str, negated: bool) -> None:
    with contextlib.suppress(ConfigError):
        assert len(left(database, Word(word, value, negated))) <= 250


def test_what_is_left_out_needs_a_word() -> None:
    with pytest.raises(ConfigError, match="WORD=VALUE"):
        parse_negated("dst")
