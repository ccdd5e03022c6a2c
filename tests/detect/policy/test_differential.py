"""Our engine against engines that are not ours: cyclonus for NetworkPolicy, apimachinery for selectors."""

from __future__ import annotations

import json
import os
import random
import subprocess
from typing import Any

import pytest
from support.needs import need
from support.policy_worlds import KEYS, VALUES, World, connection, port_name
from support.servers.build_cyclonus import missing, program

from detect.policy.selectors import read_selector
from detect.policy.verdicts import decide

CONNECTIONS = int(os.environ.get("WHOWAS_POLICIES", "20000"))
EACH = 50


def told(lines: list[dict[str, Any]]) -> list[list[bool]]:
    need(not missing(), missing())
    text = "\n".join(map(json.dumps, lines))
    ran = subprocess.run([program()], input=text, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.long
def test_verdicts_are_those_of_cyclonus() -> None:
    worlds = [World(seed) for seed in range(CONNECTIONS // EACH)]
    asks = [one.asks(EACH) for one in worlds]
    lines = []
    for world, several in zip(worlds, asks, strict=True):
        questions = [
            {"from": world.told(source), "to": world.told(target), "port": port, "protocol": protocol,
             "portName": port_name(target[0], port, protocol)}
            for source, target, port, protocol in several
        ]  # fmt: skip
        lines.append({"policies": world.filled(), "asks": questions})
    answers, words = told(lines), set()
    for seed, (world, several, theirs) in enumerate(zip(worlds, asks, answers, strict=True)):
        moment = world.moment()
        for ask, passes in zip(several, theirs, strict=True):
            ours = decide(moment, connection(ask))
            words.add(ours.word)
            assert ours.passes() == passes, (seed, ask, ours, json.dumps(world.policies, indent=1))
    assert words == {"allowed", "denied", "open"}


@pytest.mark.long
def test_selectors_are_those_of_apimachinery() -> None:
    """The corners where cyclonus differs from real engines: absent keys under NotIn, values that are empty."""
    rolls = random.Random(17)
    values = (*VALUES, "")
    lines = []
    for _ in range(2000):
        selector: dict[str, Any] = {}
        if rolls.random() < 0.6:
            selector["matchLabels"] = {key: rolls.choice(values) for key in rolls.sample(KEYS, rolls.randint(0, 2))}
        expressions = []
        for _ in range(rolls.randint(0, 3)):
            operator = rolls.choice(("In", "NotIn", "Exists", "DoesNotExist"))
            some = {"values": rolls.sample(values, rolls.randint(1, 3))} if operator in ("In", "NotIn") else {}
            expressions.append({"key": rolls.choice(KEYS), "operator": operator, **some})
        labels = [{key: rolls.choice(values) for key in KEYS if rolls.random() < 0.6} for _ in range(10)]
        lines.append({"selector": selector | {"matchExpressions": expressions}, "labels": labels})
    for line, theirs in zip(lines, told(lines), strict=True):
        selector = read_selector(line["selector"], "selector")
        assert [selector.selects(labels) for labels in line["labels"]] == theirs, line
