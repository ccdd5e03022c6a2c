"""What is told when: news, updates, silences, rates, late flows; and what the state remembers of it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.flows import Flow, Predicates, batch, correlation, rule

from detect.judge.judge import Judge
from detect.judge.limits import Limits
from detect.judge.silences import Silences
from detect.judge.state import State
from detect.model import FirstSeen, RuleSet
from whowas.errors import ConfigError, StoreError, StoreTakenError

HOUR = 3_600_000_000
SSH = rule("ssh", group_by=("src_namespace", "src_workload"), level="high")
RULES = RuleSet((SSH,))


class Clock:
    """Wall time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def flow(at_us: int, workload: str = "web", **told: Any) -> Flow:
    number = flow.number = getattr(flow, "number", 0) + 1  # type: ignore[attr-defined]
    columns = {"src_namespace": "shop", "src_workload": workload, "dst_workload": "db", "dst_ip": "10.0.0.1"}
    return {"flow_id": f"{number:032x}", "start_time": at_us, "dst_port": 22, "src_labels": None} | columns | told


def made(state: State | None = None, rules: RuleSet = RULES, **told: Any) -> Judge:
    every = [lambda one: True] * len(rules.rules)
    return Judge(rules, state or State(), 1000, matcher=Predicates(rules, *every), **told)


def tell(judge: Judge) -> list[tuple[str | None, int, int]]:
    """Deliver what is pending. Returns: (workload, count, revision)."""
    found = judge.pending()
    judge.acknowledge(found)
    return [(dict(one.group).get("src_workload"), one.count, one.revision) for one in found]


def test_a_flow_without_a_time_is_in_no_window_and_counted() -> None:
    judge = made()
    judge.judge(batch([flow(1), flow(1) | {"start_time": None}]), "log", 2)
    assert (judge.counts["flows"], judge.counts["untimed"], judge.judged("log")) == (1, 1, 2)
    assert tell(judge) == [("web", 1, 0)]


def test_a_finding_is_told_when_new_at_powers_of_two_and_when_its_window_closes() -> None:
    judge = made(clock=Clock())
    told = []
    for number in range(11):
        judge.judge(batch([flow(number)]))
        told.append(tell(judge))
    assert [number + 1 for number, one in enumerate(told) if one] == [1, 2, 4, 8]
    assert told[7] == [("web", 8, 3)]
    judge.advance(HOUR + 999)
    assert tell(judge) == []
    judge.advance(HOUR + 1000)
    assert tell(judge) == [("web", 11, 4)]
    judge.finish()
    assert tell(judge) == []


def test_a_finding_that_grows_slowly_is_told_again_after_some_minutes() -> None:
    clock = Clock()
    judge = made(clock=clock, limits=Limits(update_seconds=60))
    judge.judge(batch([flow(1), flow(2), flow(3), flow(4)]))
    assert tell(judge) == [("web", 4, 0)]
    judge.judge(batch([flow(5)]))
    assert tell(judge) == []
    clock.now += 60
    assert tell(judge) == [("web", 5, 1)]
    clock.now += 60
    assert tell(judge) == []


def test_pending_is_the_same_until_it_is_told_and_survives_a_restart() -> None:
    state = State()
    judge = made(state, limits=Limits(alerts_per_minute=1), clock=Clock())
    judge.judge(batch([flow(1)]), "log", 1)
    first = judge.pending()
    assert first == judge.pending()
    judge.commit()
    again = made(state)
    assert again.judged("log") == 1
    assert again.pending() == first
    again.acknowledge(first)
    again.commit()
    assert made(state).pending() == []


def test_a_batch_that_was_judged_is_left_out() -> None:
    judge = made()
    one = batch([flow(1)])
    assert judge.judged("log") == -1
    judge.judge(one, "log", 5)
    judge.judge(one, "log", 5)
    judge.judge(one, "other", 5)
    assert judge.counts["repeated"] == 1
    assert tell(judge) == [("web", 2, 0)]


def test_the_worst_is_told_first_and_only_as_much_as_was_asked_for() -> None:
    low = rule("noise", group_by=("src_workload",), level="low")
    judge = made(rules=RuleSet((low, SSH)))
    judge.judge(batch([flow(1)]))
    assert [one.rule.name for one in judge.pending()] == ["ssh", "noise"]
    assert [one.rule.name for one in judge.pending(1)] == ["ssh"]


def test_what_the_rate_refuses_is_counted_and_told_later_as_one() -> None:
    clock = Clock()
    judge = made(clock=clock, limits=Limits(alerts_per_minute=2))
    names = [f"web-{number}" for number in range(5)]
    judge.judge(batch([flow(1, one) for one in names]))
    first = {one[0] for one in tell(judge)}
    assert len(first) == 2
    assert judge.counts["rate_limited"] == 3
    judge.judge(batch([flow(2, one) for one in names]))
    assert tell(judge) == []
    told = []
    for _ in range(4):
        clock.now += 60
        told.append(tell(judge))
    assert [len(one) for one in told] == [2, 2, 1, 0]
    # Those that waited come as one alert each, with both their flows.
    assert sorted(one[0] or "" for many in told for one in many if one[2] == 0) == sorted({*names} - first)
    assert all(count == 2 for many in told for _, count, _ in many)
    assert judge.counts["rate_limited"] == 5


def test_late_flows_are_counted_and_still_found_but_not_correlated() -> None:
    seen = rule("new", first_seen=FirstSeen(("src_workload",), HOUR, 0))
    burst = correlation("burst", "event_count", ("ssh",), HOUR, count=1)
    state = State()
    judge = made(state, RuleSet((SSH, seen), (burst,)))
    judge.judge(batch([flow(10)]))
    judge.advance(3 * HOUR + 1000)
    assert len(tell(judge)) == 3
    judge.commit()
    assert len(judge.findings) == 0
    judge.judge(batch([flow(5), flow(2 * HOUR, "db")]))
    assert judge.counts["late"] == 2
    assert judge.counts["late_for_correlation"] == judge.counts["late_for_first_seen"] == 2
    found = judge.pending()
    assert [(dict(one.group)["src_workload"], one.count, one.first_us) for one in found] == [
        ("web", 2, 5),
        ("db", 1, 2 * HOUR),
    ]
    assert [one["start_time"].microsecond for one in found[0].flows] == [5, 10]
    judge.acknowledge(found)
    judge.commit()
    assert len(judge.findings) == 0


def silences(folder: Path, text: str) -> Silences:
    path = folder / "silences.toml"
    path.write_text(text, "utf-8")
    return Silences.load(str(path))


WEB = """
[[silence]]
id = "web"
rule = "ssh"
until = 1970-01-01T02:00:00Z
reason = "known"
author = "kim"
match = { src_namespace = "sh?p", dst_workload = ["db", "cache"] }
"""


def test_a_silence_keeps_findings_back_until_its_date_or_until_it_is_removed(tmp_path: Path) -> None:
    quiet, state = silences(tmp_path, WEB), State()
    judge = made(state, silences=quiet)
    judge.judge(batch([flow(1), flow(2), flow(1, "other", src_namespace="ops")]))
    judge.judge(batch([flow(2 * HOUR - 1, "before"), flow(2 * HOUR, "after")]))
    assert sorted(one[0] or "" for one in tell(judge)) == ["after", "other"]
    assert judge.counts["silenced"] == 2
    judge.finish()
    assert tell(judge) == []
    judge.commit()
    assert len(judge.findings) == 0
    later = made(state, silences=Silences())
    assert tell(later) == [("web", 2, 0), ("before", 1, 0)]
    assert later.counts["silenced"] == 2


def test_a_flow_that_a_silence_does_not_fit_lets_the_finding_out(tmp_path: Path) -> None:
    judge = made(silences=silences(tmp_path, WEB))
    judge.judge(batch([flow(1)]))
    assert tell(judge) == []
    judge.judge(batch([flow(2, dst_workload="vault")]))
    assert tell(judge) == [("web", 2, 0)]
    judge.silences = Silences()
    assert tell(judge) == []


def test_expired_silences_are_told(tmp_path: Path) -> None:
    quiet = silences(tmp_path, WEB)
    assert [one.id for one in quiet.expired(2 * HOUR)] == ["web"]
    assert quiet.expired(2 * HOUR - 1) == []


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('[[silence]]\nid = "a"\nrule = "*"', "'until' is needed"),
        ('[[silence]]\nid = "a"\nrule = "*"\nuntil = 2026-01-01T00:00:00', "'until' is needed, a date with a zone"),
        ('[[silence]]\nrule = "*"\nuntil = 2026-01-01', "'id' is no text, or empty"),
        ('[[silence]]\nid = "a"\nrule = "*"\nuntil = 2026-01-01\nwhy = "x"', "'why' is unknown"),
        ('[[silence]]\nid = "a"\nrule = "*"\nuntil = 2026-01-01\nmatch = { src = "x" }', "'src' is no column"),
        ('[[silence]]\nid = "a"\nrule = "*"\nuntil = 2026-01-01\nmatch = { src_ip = [] }', "neither text nor number"),
        ('[[silence]]\nid = "a"\nrule = "*"\nuntil = 2026-01-01\n' * 2, "the id 'a' was there before"),
        ("[silences]", "'silences' is unknown"),
        ("silence = [1]", "in silence 1 there is no table"),
        ("[[silence]", "cannot read silences"),
    ],
)
def test_silences_that_cannot_be_honoured_are_refused(tmp_path: Path, text: str, cause: str) -> None:
    with pytest.raises(ConfigError, match="cannot read silences") as refused:
        silences(tmp_path, text)
    assert cause in str(refused.value)


def test_bounds_are_kept_and_what_is_beyond_is_counted() -> None:
    seen = rule("new", first_seen=FirstSeen(("src_workload",), HOUR, 0))
    many = correlation("many", "value_count", ("ssh",), HOUR, count=1, fields=("dst_ip",))
    each = correlation("each", "event_count", ("ssh",), HOUR, count=1, group_by=("src_workload",))
    limits = Limits(groups=2, values=3, groups_correlated=4, events=6, combinations=5)
    judge = made(rules=RuleSet((SSH, seen), (many, each)), limits=limits)
    judge.judge(batch([flow(number, f"web-{number}", dst_ip=f"10.0.0.{number}") for number in range(8)]))
    judge.finish()
    assert {name: count for name, count in judge.counts.items() if name.endswith("_full")} == {
        "groups_full": 6 + 2,
        "values_full": 3,
        "correlated_groups_full": 2,
        "events_full": 2 + 2,
        "first_seen_full": 3,
    }


def test_a_changed_rule_loses_its_own_state_and_no_other() -> None:
    state, other = State(), rule("other", group_by=("src_workload",))
    judge = made(state, RuleSet((SSH, other)))
    judge.judge(batch([flow(1)]))
    judge.commit()
    renamed = rule("ssh", group_by=SSH.info.group_by, level="low", description="said better")
    assert made(state, RuleSet((renamed, other))).counts["rules_changed"] == 0
    changed = rule("ssh", group_by=SSH.info.group_by, sql="false")
    after = made(state, RuleSet((changed, other)))
    assert after.counts["rules_changed"] == 1
    assert [one.rule.name for one in after.pending()] == ["other"]


def test_a_correlation_without_its_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot use rule 'burst': the rule 'nobody' that it looks at is not there"):
        made(rules=RuleSet((SSH,), (correlation("burst", "event_count", ("nobody",), 1),)))


def test_a_state_is_refused_by_name_when_it_is_taken_newer_or_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "rules.db"
    state = State(path)
    with pytest.raises(StoreTakenError, match=rf"rules\.db': process {os.getpid()} judges with it"):
        State(path)
    state.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreError, match=r"rules\.db': it has version 99, this whowas knows up to 1; update whowas"):
        State(path)
    with sqlite3.connect(tmp_path / "foreign.db") as database:
        database.execute("CREATE TABLE t(a)")
    database.close()
    with pytest.raises(StoreError, match="it is a database, but no state of rules"):
        State(tmp_path / "foreign.db")
    (tmp_path / "text.db").write_text("no database at all, whatever its name may say\n" * 20)
    with pytest.raises(StoreError, match="cannot open rule state"):
        State(tmp_path / "text.db")
    with pytest.raises(StoreError, match="cannot open rule state"):
        State(tmp_path / "nowhere" / "rules.db")


def test_memory_and_file_are_flat_over_a_simulated_week() -> None:
    burst = correlation("burst", "event_count", ("ssh",), HOUR // 60, count=3, group_by=("dst_ip",))
    seen = rule("new", first_seen=FirstSeen(("src_workload",), 6 * HOUR, 0))
    judge = made(rules=RuleSet((SSH, seen), (burst,)), limits=Limits(keep_us=12 * HOUR))
    sizes, held = [], []
    for hour in range(7 * 24):
        base = hour * HOUR
        flows = [
            flow(base + n * 40_000_000, f"w{hour}-{n % 9}", dst_ip=f"10.0.{hour % 200}.{n % 7}") for n in range(90)
        ]
        judge.judge(batch(flows))
        judge.advance(base + HOUR)
        tell(judge)
        judge.commit()
        sizes.append(judge.state.size())
        held.append((len(judge.findings), *map(len, judge.correlators), *map(len, judge.firsts)))
    assert max(sizes[48:]) <= 1.2 * max(sizes[24:48])
    assert max(held[24:]) <= max(held[:24])
    assert max(one[2] for one in held) <= 9 * 8


def test_judging_needs_no_sigma() -> None:
    code = "import sys, detect.judge.judge, detect.judge.state; "
    code += "sys.exit('sigma' in sys.modules or 'duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
