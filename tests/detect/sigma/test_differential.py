"""SQL and matcher against the plain reading of Sigma in `meaning`, over random rules and rows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sigma.meaning import condition_text, holds
from support.sigma.rule_texts import filed, flat, named, rule, spelt

from detect.matching.matcher import Matcher
from detect.sigma import explain, load

WORDS = ["web", "Web-1", "wEB", "kube-system", "a%b", "a_b", "aXb", "a\\b", "a*b", "a?b", "it's", "''", 'q"q', ""]
WORDS += [
    "é",
    "ÉA",
    "σΣς",
    "İ",
    "K",
    "😀b",
    "a\nb",
    "443",
    "true",
    "null",
    "';DROP TABLE flows;--",
    "\x1b[2J",
    "a\\",
    "\\*",
]
KEYS = ["app", "app.kubernetes.io/name", "it's", 'a"b', "x]['y", "ключ", "%", "a\\"]
LABELS = [f"{side}_labels.{key}" for side in ("src", "dst") for key in KEYS]
TEXTS = ["src_namespace", "dst_namespace", "src_workload", "dns_name", "protocol", "community_id", *LABELS]
NUMBERS = ["src_port", "dst_port", "protocol_number", "bytes_out", "bytes_in", "vni"]
LISTS = ["src_images", "dst_images"]
IPS = ["10.0.0.1", "10.0.0.255", "10.0.1.0", "169.254.169.254", "0.0.0.0", "255.255.255.255", "::", "::1", "fd00::1"]
IPS += ["fd00::ffff", "fe80::1", "::fffe:ffff:ffff", "::1:0:0:0", "2001:db8::a"]
NETS = ["10.0.0.0/24", "10.0.0.0/31", "0.0.0.0/0", "10.0.0.1/32", "255.255.255.255/32", "::/0", "::/64", "fd00::/8"]
NETS += ["::1/128", "::ffff:0:0/96", "::ffff:10.0.0.0/120", "::/80", "fe80::/10", "8000::/1", "0.0.0.0/1"]
PIECES = [
    "a",
    "b",
    "web",
    "WEB",
    r"\.",
    ".",
    ".*",
    "^",
    "$",
    "[a-c]",
    "[^a]",
    "(a|b)",
    r"\\",
    "'",
    "%",
    "_",
    "é",
    "x{0,2}",
    r"\d",
]

words = st.sampled_from(WORDS)
sides = st.lists(st.sampled_from(WORDS + ["*", "?", "\\", "\\*", "\\?", "\\\\", "a", "b"]), min_size=0, max_size=3)
patterns = st.one_of(words, sides.map("".join))
small = st.sampled_from([0, 1, 22, 53, 80, 443, 65535])
large = st.sampled_from([0, 1, 443, 2**31, 10**12, 2**62])


def maybe(values: Any) -> Any:
    return st.one_of(st.none(), values)


rows = st.lists(
    st.fixed_dictionaries(
        {
            **{
                name: maybe(words)
                for name in ("src_namespace", "dst_namespace", "src_workload", "dns_name", "protocol")
            },
            **{name: maybe(words) for name in ("community_id",)},
            **{name: maybe(st.dictionaries(st.sampled_from(KEYS), words)) for name in ("src_labels", "dst_labels")},
            **{name: maybe(small) for name in ("src_port", "dst_port")},
            "protocol_number": maybe(st.sampled_from([0, 6, 17, 80, 255])),
            **{name: maybe(large) for name in ("bytes_out", "bytes_in")},
            "vni": maybe(st.sampled_from([-1, 0, 443, 2**31 - 1])),
            "vlan": maybe(st.lists(st.one_of(st.none(), small), max_size=3)),
            **{name: maybe(st.lists(st.one_of(st.none(), words), max_size=3)) for name in LISTS},
            "encapsulated": maybe(st.booleans()),
            **{name: maybe(st.sampled_from(IPS)) for name in ("src_ip", "dst_ip")},
            "start_time": maybe(
                st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))
            ),
        }
    ),
    min_size=1,
    max_size=12,
)


def values(of: Any) -> Any:
    return st.one_of(of, st.lists(of, min_size=1, max_size=4))


def key(name: str, *modifiers: Any) -> Any:
    """A field with some of its modifiers, or none: each argument is a modifier, or a choice of modifiers."""
    chosen = [st.sampled_from([None, *([one] if isinstance(one, str) else one)]) for one in modifiers]
    return st.tuples(*chosen).map(lambda those: "|".join([name, *(one for one in those if one)]))


places = ("contains", "startswith", "endswith")


def item(names: Any, *modifiers: Any, told: Any) -> Any:
    return st.sampled_from(names).flatmap(lambda name: st.tuples(key(name, *modifiers), told))


plain_text = st.one_of(patterns, st.sampled_from([443, 0, True, False]))
expressions = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)


def expression_key(name: str) -> Any:
    return key(f"{name}|re", "m", "s", "all", "neq")


items = st.one_of(
    item(TEXTS + LISTS, places, "all", "neq", told=values(patterns)),
    item(TEXTS + LISTS, "cased", places, "neq", told=values(patterns)),
    item(TEXTS + LISTS, told=values(st.one_of(st.none(), plain_text))),
    item(
        [*NUMBERS, "vlan"],
        "neq",
        told=values(st.one_of(st.none(), small, large, st.sampled_from(["443", "0", "44*", "?", 1.5]))),
    ).filter(
        lambda one: not (one[0].endswith("|neq") and (one[1] is None or (isinstance(one[1], list) and None in one[1])))
    ),
    item([*NUMBERS, "vlan"], places, told=values(st.sampled_from(["4", "44", "*", "3?"]))),
    st.tuples(
        st.sampled_from([*NUMBERS, "vlan"]).flatmap(lambda name: key(name, "neq").map(str)),
        st.sampled_from(["gt", "gte", "lt", "lte"]),
        st.one_of(small, large, st.sampled_from([0.5, 443.5, -1])),
    ).map(lambda told: ("|".join([told[0].split("|")[0], told[1], *told[0].split("|")[1:]]), told[2])),
    st.sampled_from(TEXTS + LISTS + ["dst_port"]).flatmap(
        lambda name: st.tuples(expression_key(name), values(expressions))
    ),
    item([f"{name}|cidr" for name in ("src_ip", "dst_ip")], "neq", "all", told=values(st.sampled_from(NETS))),
    item(
        ["src_ip", "dst_ip"],
        "neq",
        told=values(st.sampled_from([*IPS, "10.0.*", "*::1", "FD00:0::1", "::ffff:10.0.0.1"])),
    ),
    item(["encapsulated"], "neq", told=st.sampled_from([True, False, "true", "False"])),
    st.tuples(
        st.sampled_from([*TEXTS, *NUMBERS, *LISTS, "vlan", "src_ip", "start_time"]).map("{}|exists".format),
        st.booleans(),
    ),
    st.tuples(
        st.sampled_from([*TEXTS, "src_port", "dst_port", "src_ip"]).flatmap(
            lambda name: key(f"{name}|fieldref", places, "neq")
        ),
        values(st.sampled_from([*TEXTS, "src_port", "dst_port", "bytes_out", "dst_ip"])),
    ),
    st.tuples(
        st.sampled_from(["minute", "hour", "day", "week", "month", "year"]).flatmap(
            lambda part: key(f"start_time|{part}", ("gt", "gte", "lt", "lte"), "neq")
        ),
        st.sampled_from([0, 1, 12, 52, 1999, 2026]),
    ),
)
mappings = st.lists(items, min_size=1, max_size=3).map(dict)
selections = st.one_of(mappings, st.lists(mappings, min_size=1, max_size=3))
names = ("s0", "s1", "f0", "f1")
leaves = st.sampled_from(names)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner, inner),
        st.tuples(st.just("of"), st.sampled_from(["1", "all"]), st.sampled_from(["s", "f"])),
    ),
    max_leaves=5,
)


def used(tree: Any) -> set[str]:
    if isinstance(tree, str):
        return {tree}
    if tree[0] == "of":
        return {name for name in names if name.startswith(tree[2])}
    return set().union(*(used(one) for one in tree[1:]))


@st.composite
def detections(draw: Any) -> tuple[dict[str, Any], Any]:
    tree = draw(trees)
    return {name: draw(selections) for name in sorted(used(tree))}, tree


def written(detection: dict[str, Any], tree: Any, number: int) -> str:
    lines = [f"  {name}: {spelt(one)}" for name, one in detection.items()]
    return rule("\n".join([*lines, f"  condition: {spelt(condition_text(tree))}"]), number)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


@pytest.fixture(scope="module")
def database() -> Any:
    with duckdb.connect(config={"threads": 1}) as opened:
        yield opened


@settings(max_examples=50, deadline=None)
@given(st.lists(detections(), min_size=1, max_size=6), st.lists(rows, min_size=1, max_size=2))
def test_matches_what_sigma_means(
    folder: Path, database: Any, told: list[tuple[dict[str, Any], Any]], given_rows: Any
) -> None:
    path = filed(folder, *(written(*one, number) for number, one in enumerate(told, 1)))
    ruleset = load(path).ruleset
    matcher = Matcher(ruleset)
    for some in given_rows:  # a second batch meets what the first has taught
        want = {
            f"rule-{number}": found
            for number, (detection, tree) in enumerate(told, 1)
            if (found := [place for place, row in enumerate(some) if holds(detection, tree, row)])
        }
        batch = flat(some)
        assert {name: rows.tolist() for name, rows in matcher.match(batch).items()} == want
        assert {name: rows.tolist() for name, rows in matcher.match(named(batch)).items()} == want
        database.register("flows", numbered(batch))
        explained = {one.info.name: rows_of(explain(one), database) for one in ruleset.rules}
        assert {name: found for name, found in explained.items() if found} == want


def numbered(batch: Any) -> Any:
    return pa.table(batch).set_column(0, "flow_id", pa.array([f"{place:03}" for place in range(batch.num_rows)]))


def rows_of(sql: str, database: Any) -> list[int]:
    """The rows that the statement shown to people finds."""
    found = database.execute(sql.replace("SELECT *", "SELECT flow_id", 1)).fetchall()
    return sorted(int(one) for (one,) in found)
