"""What cannot be honoured is refused, with its line and what to do."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sigma.rule_texts import correlation, filed, rule

from detect.model import Site
from detect.sigma import load, yaml_documents

SSH = "  ssh: {dst_port: 22}\n  condition: ssh"
SITE = Site({"empty": (), "some": ("a", "b"), "many": tuple(f"n{one}" for one in range(200))})


def refused(folder: Path, *texts: str) -> str:
    """The one refusal of a file, without its path."""
    (refusal,) = load(filed(folder, *texts), SITE, strict=False).refusals
    return str(refusal).removeprefix(f"{folder}/rules.yml:")


# A selection stands in line 8 of these rules, its second field in line 9.
SELECTIONS = {
    "src_namespce: a": "'src_namespce' is no field of a flow; did you mean src_namespace?",
    "src_labels: a": "'src_labels' is no field of a flow; name one label, as in src_labels.app",
    "src_ip16: a": "'src_ip16' is no field of a flow; compare src_ip, with |cidr for a range",
    "src_candidates: a": "'src_candidates' is no field of a flow",
    "src_pod|containz: a": "the modifier 'containz' is not known",
    "src_pod|wide: a": "flows hold no UTF-16",
    "src_pod|contains|startswith: a": "the modifiers 'contains' and 'startswith' cannot be combined",
    "src_pod|contains|contains: a": "a modifier stands here twice",
    "src_pod|re|contains: a": "the modifiers 're' and 'contains' cannot be combined; write the anchors",
    "src_pod|i: a": "the modifier 'i' is for regular expressions",
    "src_pod|cased|fieldref: dst_pod": "the modifiers 'fieldref' and 'cased' cannot be combined",
    "src_pod|re: '(?=a)b'": "(?=a)b",
    r"src_pod|re: '(a)\1'": r"(a)\1",
    "src_pod|re: '('": "(",
    "src_pod|re: 'a{1000}{1000}'": "a{1000}{1000}",
    "src_pod|re: 5": "an expression is no text; write '5' in quotes",
    "src_pod|gte: 5": "src_pod is no number",
    "dst_port|gte: x": "'x' is no value for these modifiers",
    "dst_port: http": "dst_port is a number and never 'http'",
    "dst_port: true": "dst_port is a number; give a number",
    "dst_port: 99999999999999999999": "the number 99999999999999999999 is too large to be kept exactly",
    "bytes_out|gte: 9007199254740993": "the number 9007199254740993 is too large to be kept exactly",
    "dst_port: '99999999999999999999'": "99999999999999999999 is beyond 64 bits",
    "dst_port: 1e30": "is beyond 64 bits; give a smaller number",
    "dst_port|hour: 5": "dst_port is no time",
    "start_time|gte: 5": "start_time is no number",
    "start_time: 5": "start_time is a time",
    "start_time|hour|re: 5": "the modifiers 're' and 'hour' cannot be combined",
    "start_time|gte|hour: 5": "a part of a time stands behind its comparison; write |hour|gte",
    "encapsulated: maybe": "encapsulated is true or false",
    "encapsulated|contains: t": "encapsulated is true or false",
    "src_ip: host": "'host' is no address; give one, or a range with src_ip|cidr",
    "src_ip|cidr: 10.0.0.1/8": "10.0.0.1/8 has host bits set",
    "src_ip|cidr: x": "'x' does not appear to be an IPv4 or IPv6 network",
    "src_nat_ip|cidr: 10.0.0.0/8": "src_nat_ip cannot be held against a range",
    "src_pod|cidr: 10.0.0.0/8": "src_pod cannot be held against a range; use src_ip or dst_ip",
    "src_pod|fieldref: x": "'x' is no field of a flow",
    "src_pod|fieldref: src_images": "src_images cannot be compared with another field",
    "src_pod|exists: 3": "'3' is no value for these modifiers",
    "src_pod|contains: null": "null takes no modifiers; write src_pod: null, or src_pod|exists",
    "src_confidence: exakt": "src_confidence is never 'exakt'; it is one of exact, likely",
    "src_labels.version: 1.10": "the number 1.10 may be spelt in other ways; write '1.10' in quotes",
    "src_labels.version: 0x1F": "the number 0x1F may be spelt in other ways",
    "src_pod|expand: '%nobody%'": "the site has no list 'nobody'; add it to the lists; it may be empty",
    "src_pod|expand: plain": "'plain' names no list",
    "src_pod|expand: 5": "a placeholder is no text",
    "src_pod|expand|all: '%empty%'": "all of an empty list is asked for",
    "src_pod|expand: '%many%-%many%'": "the placeholders stand for more than 10,000 values",
    "src_pod: []": "a list of values is empty",
    "src_pod: {a: b}": "a value is a mapping or a list of lists",
    "src_pod: [[a]]": "a value is a mapping or a list of lists",
    "'|contains': a": "a word without a field is asked for",
    "'': a": "a word without a field is asked for",
}


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_field_that_cannot_be_honoured(tmp_path: Path, selection: str) -> None:
    told = refused(tmp_path, rule(f"  s:\n    dst_ip: 10.0.0.1\n    {selection}\n  condition: s"))
    assert told.startswith("10: cannot load rule 'Rule 1': ")
    assert SELECTIONS[selection] in told


DETECTIONS = {
    "  s: [some, words]\n  condition: s": (8, "a word without a field is asked for; flows have no text to search"),
    "  s: word\n  condition: s": (8, "a word without a field"),
    "  s: {}\n  condition: s": (8, "a selection is empty"),
    "  s: []\n  condition: s": (8, "the selection 's' is empty"),
    "  s: {dst_port: 1}": (8, "a detection has no condition"),
    "  condition: s": (8, "a detection has no selection"),
    "  s: {dst_port: 1}\n  condition: [s, s]": (9, "a condition is no text"),
    "  s: {dst_port: 1}\n  condition: t": (9, "Detection 't' not defined in detections"),
    "  s: {dst_port: 1}\n  condition: 1 of t*": (9, "doesn't match any detection"),
    "  s: {dst_port: 1}\n  condition: s and": (9, "the condition cannot be read from 'its end' on"),
    "  s: {dst_port: 1}\n  condition: s | count() > 5": (9, "pipe syntax"),
    "  s: {dst_port: 1}\n  t: {dst_port: 2}\n  condition: s": (9, "the selection 't' is not in the condition"),
    "  s: {dst_port: 1}\n  timeframe: 5m\n  condition: s": (9, "timeframe is not Sigma any more"),
    "  s!: {dst_port: 1}\n  condition: s": (8, "'s!' is no name for a selection"),
    f"  s: {{dst_port: 1}}\n  condition: {'(' * 40}s{')' * 40}": (9, "a condition is too long"),
    f"  s: {{dst_port: 1}}\n  condition: s{' or s' * 2000}": (9, "a condition is too long"),
}


@pytest.mark.parametrize("detection", DETECTIONS)
def test_a_detection_that_cannot_be_honoured(tmp_path: Path, detection: str) -> None:
    line, cause = DETECTIONS[detection]
    told = refused(tmp_path, rule(detection))
    assert told.startswith(f"{line}: cannot load rule 'Rule 1': ")
    assert cause in told


HEADERS = {
    ("title: Rule 1\n", ""): (1, "there is no title"),
    (f"id: {uuid.UUID(int=1)}\n", ""): (1, "there is no id"),
    (f"id: {uuid.UUID(int=1)}", "id: five"): (2, "the id 'five' is no UUID; make one with uuidgen"),
    ("level: low\n", ""): (1, "there is no level"),
    ("level: low", "level: loud"): (5, "the level 'loud' is not known; use one of informational"),
    ("level: low", "level: low\nstatus: fine"): (6, "the status 'fine' is not known"),
    ("level: low", "level: low\ntags: [t1046]"): (6, "the tag 't1046' has no namespace"),
    ("level: low", "level: low\nfalsepositive: none"): (
        6,
        "'falsepositive' is no word of a rule; did you mean falsepos",
    ),
    ("level: low", "level: low\naction: global"): (1, "documents that build on each other"),
    ("taxonomy: whowas\n", ""): (1, "its taxonomy is 'sigma'; write taxonomy: whowas"),
    ("taxonomy: whowas", "taxonomy: ecs"): (4, "its taxonomy is 'ecs'"),
    ("category: network_flow", "category: firewall"): (6, "its logsource is not network_flow of kubernetes"),
    ("product: kubernetes", "product: kubernetes, service: x"): (6, "its logsource is not network_flow"),
    ("level: low", "level: low\nwhowas: {windw: 1h}"): (6, "'windw' is no word of whowas; did you mean window?"),
    ("level: low", "level: low\nwhowas: {window: 5 minutes}"): (6, "'5 minutes' is no length of time"),
    ("level: low", "level: low\nwhowas: {window: 0s}"): (6, "'0s' is too short"),
    ("level: low", "level: low\nwhowas: {window: 900y}"): (6, "'900y' is too long"),
    ("level: low", "level: low\nwhowas: {group_by: [src_images]}"): (6, "src_images holds a list"),
    ("level: low", "level: low\nwhowas: {group_by: [src_nod]}"): (6, "did you mean src_node?"),
    ("level: low", "level: low\nwhowas: {topic: 'a b'}"): (6, "'a b' is no name of a topic"),
    ("level: low", "level: low\nwhowas: {about: dest}"): (6, "about: 'dest' is no end; use one of src, dst, both"),
    ("level: low", "level: low\nwhowas: {about: [src, dst]}"): (6, "is no end; use one of src, dst, both, neither"),
    ("level: low", "level: low\nwhowas: {about: null}"): (6, "is no end; use one of src, dst, both, neither"),
    ("level: low", "level: low\nwhowas:\n  tests:\n    ignore: [{advice: a}]"): (8, "advice is expected of flows to"),
    ("level: low", "level: low\nwhowas:\n  tests:\n    match: [{flows: [{advice: a}]}]"): (
        8,
        "advice is said of a flow",
    ),
    ("level: low", "level: low\nwhowas:\n  tests:\n    flow: {advice: a}\n    match: [{}]"): (8, "advice is said of a"),
    ("level: low", "level: low\nwhowas: {first_seen: {by: [src_pod]}}"): (6, "first_seen lacks 'within'"),
    ("level: low", "level: low\nwhowas:\n  tests:\n    match: [{dst_prt: 1}]"): (8, "'dst_prt' is no column of a flow"),
    ("level: low", "level: low\nwhowas:\n  tests:\n    match: [{dst_port: x}]"): (8, "dst_port cannot be 'x'"),
    ("level: low", "level: low\nwhowas:\n  tests:\n    match: [{src_ip: x}]"): (8, "'x' is no address"),
    ("level: low", "level: low\nwhowas:\n  tests:\n    match: [{start_time: 1}]"): (8, "start_time is made for you"),
}


@pytest.mark.parametrize("change", HEADERS)
def test_a_rule_that_says_too_little_or_too_much_of_itself(tmp_path: Path, change: tuple[str, str]) -> None:
    line, cause = HEADERS[change]
    text = rule(SSH)
    assert change[0] in text
    told = refused(tmp_path, text.replace(*change))
    assert told.startswith(f"{line}: cannot load ")
    assert cause in told


BASE = "  type: event_count\n  rules: [rule-1]\n  timespan: 1m\n  condition: {gte: 2}"
CORRELATIONS = {
    ("type: event_count", "type: value_sum"): (7, "the correlation type 'value_sum' is not counted here"),
    ("type: event_count", "type: often"): (7, "the correlation type 'often' is not known"),
    ("  type: event_count\n", ""): (7, "a correlation has no type"),
    ("  timespan: 1m\n", ""): (7, "a correlation has no timespan"),
    ("timespan: 1m", "timespan: 1 minute"): (9, "'1 minute' is no length of time"),
    ("rules: [rule-1]", "rules: []"): (8, "a correlation names no rule"),
    ("rules: [rule-1]", "rules: [rule-7]"): (7, "its rule 'rule-7' was not loaded"),
    ("rules: [rule-1]", "rules: [correlation-51]"): (7, "its rule 'correlation-51' was not loaded"),
    ("rules: [rule-1]", f"rules: [rule-1, {uuid.UUID(int=1)}]"): (7, "it names a rule twice"),
    ("\n  condition: {gte: 2}", ""): (7, "a correlation has no condition"),
    ("{gte: 2}", "rule-1 and rule-2"): (10, "a condition in words is not honoured"),
    ("{gte: 2}", "{gte: 2, lt: 5}"): (10, "has not one comparison"),
    ("{gte: 2}", "{gte: 2.5}"): (10, "'2.5' is no count"),
    ("{gte: 2}", "{gte: -1}"): (10, "'-1' is no count"),
    ("{gte: 2}", "{gte: true}"): (10, "'true' is no count"),
    ("{gte: 2}", "{eq: 0}"): (10, "a group is looked at when it has an event"),
    ("{gte: 2}", "{gte: 2, field: dst_port}"): (10, "'field' is no word of a correlation's condition"),
    ("type: event_count", "type: value_count"): (10, "a value_count does not say of what"),
    ("type: event_count", "type: event_count\n  generate: yes"): (8, "generate is neither true nor false"),
    ("type: event_count", "type: temporal"): (10, "a temporal correlation asks for some of its rules only"),
    ("  timespan", "  group-by: [who]\n  timespan"): (9, "'who' is no field of a flow"),
    ("  timespan", "  aliases: {who: {rule-2: src_pod}}\n  timespan"): (9, "'rule-2' is no word of alias who"),
    ("  timespan", "  aliases: {who: {rule-1: x}}\n  timespan"): (9, "'x' is no field of a flow"),
    ("  timespan", "  aliases: {who: {}}\n  timespan"): (9, "the alias 'who' says nothing of rule 'rule-1'"),
    ("  timespan", "  aliases: {src_pod: {rule-1: dst_pod}}\n  timespan"): (9, "the alias 'src_pod' is a field's name"),
    ("  timespan", "  groupby: [src_pod]\n  timespan"): (
        9,
        "'groupby' is no word of correlation; did you mean group-by?",
    ),
}


@pytest.mark.parametrize("change", CORRELATIONS)
def test_a_correlation_that_cannot_be_honoured(tmp_path: Path, change: tuple[str, str]) -> None:
    line, cause = CORRELATIONS[change]
    assert change[0] in BASE
    path = filed(tmp_path, correlation(BASE.replace(*change)))
    filed(tmp_path, rule(SSH), correlation(BASE, 51), name="others.yml")
    (refusal,) = load(tmp_path, strict=False).refusals
    assert (refusal.path, refusal.line) == (str(path), line)
    assert cause in str(refusal)


@pytest.mark.parametrize(
    "more", ["whowas: {group_by: [src_pod]}\n", "whowas: {first_seen: {by: [src_pod], within: 1d, learn: 1d}}\n"]
)
def test_what_is_for_rules_on_flows_is_not_for_correlations(tmp_path: Path, more: str) -> None:
    told = refused(tmp_path, correlation(BASE, more=more))
    assert "is not for correlations" in told


def test_ids_and_names_are_unique(tmp_path: Path) -> None:
    first = filed(tmp_path, rule(SSH, 1), name="a.yml")
    filed(tmp_path, rule(SSH, 1, name="other"), rule(SSH, 2, name="rule-1"), name="b.yml")
    causes = [(one.line, one.cause) for one in load(tmp_path, strict=False).refusals]
    assert causes == [
        (1, f"its id '{uuid.UUID(int=1)}' is that of {first}:1"),
        (11, f"its name 'rule-1' is that of {first}:1"),
    ]


FILES = {
    "a: [b": (2, "it is not YAML"),
    "a: b\n---\n- x": (1, "'a' is no word of a rule"),
    "a: &x 1\nb: *x\n": (2, "a YAML alias (*name) is used"),
    "a: !!python/object:os.system x\n": (1, "a YAML tag (!name) is used"),
    "a: 1\na: 2\n": (2, "the key 'a' stands here twice"),
    "? [a]\n: b\n": (1, "a key is not a word"),
    "[" * 100 + "]" * 100: (1, "nested deeper than"),
    "- x\n" * 60_000: (50_000, "of more than 50,000 parts"),
    'a: "\\ud800"\n': (1, "it is not YAML"),
    "a: \x07\n": (1, "it is not YAML"),
    "x" * (yaml_documents.MOST_BYTES + 1): (1, "it is larger than"),
    "just words": (1, "a document is no rule"),
}


@pytest.mark.parametrize("content", FILES, ids=range(len(FILES)))
def test_files_that_cannot_be_read(tmp_path: Path, content: str) -> None:
    line, cause = FILES[content]
    (tmp_path / "rules.yml").write_text(content)
    first = load(tmp_path, strict=False).refusals[0]
    assert (first.line, cause in first.cause) == (line, True), str(first)


def test_what_is_no_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_bytes(b"title: a\nlevel: \xff\n")
    assert "rules.yml:2: cannot load rules: it is not UTF-8" in str(load(tmp_path, strict=False).refusals[0])
    (gone,) = load(tmp_path / "gone.yml", strict=False).refusals
    assert "gone.yml:1: cannot load rules: it cannot be read: No such file or directory" in str(gone)
    (tmp_path / "none").mkdir()
    (none,) = load(tmp_path / "none", strict=False).refusals
    assert none.cause == "it has 0 rule files"


def test_what_came_before_a_broken_document_is_loaded(tmp_path: Path) -> None:
    found = load(filed(tmp_path, rule(SSH, 1), "a: [b\n"), strict=False)
    assert [one.info.name for one in found.ruleset.rules] == ["rule-1"]
    assert [one.cause[:14] for one in found.refusals] == ["it is not YAML"]


def test_a_refusal_cannot_steer_a_terminal(tmp_path: Path) -> None:
    told = refused(tmp_path, rule('  "s\\e[2J": {dst_port: 1}\n  condition: s').replace("Rule 1", '"a\\e]0;b\\a"', 1))
    assert "\x1b" not in told
    assert "\\x1b]0;b\\x07" in told


WORDS = [
    "title",
    "id",
    "level",
    "low",
    "detection",
    "condition",
    "s",
    "1 of s*",
    "not s",
    "dst_port",
    "src_pod|re",
    "(",
]
WORDS += [
    "whowas",
    "tests",
    "match",
    "flows",
    "correlation",
    "filter",
    "rules",
    "any",
    "type",
    "logsource",
    "{n}",
    "times",
]
leaves = st.one_of(st.sampled_from(WORDS), st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)),
)


@settings(max_examples=150, deadline=None)
@given(where=st.sampled_from(["", "detection", "whowas", "correlation", "filter", "logsource", "tags"]), tree=trees)
def test_nonsense_is_refused_and_never_raises(
    tmp_path_factory: pytest.TempPathFactory, where: str, tree: object
) -> None:
    from support.sigma.rule_texts import spelt

    folder = tmp_path_factory.mktemp("nonsense", numbered=True)
    text = rule(SSH)
    if where:
        text = re.sub(rf"(?ms)^{where}:.*?(?=^\S|\Z)", "", text) + f"{where}: {spelt(tree)}\n"
    else:
        text = spelt(tree)
    found = load(filed(folder, text), strict=False)
    assert len(found.ruleset.rules) + len(found.ruleset.correlations) + len(found.refusals) <= 2
