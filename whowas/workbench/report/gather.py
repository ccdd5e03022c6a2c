"""Asks all that a report tells, by the questions of the page; what could not be told is kept as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from whowas.addresses import is_address
from whowas.errors import InputError
from whowas.history.evidence_files import find_evidence
from whowas.query import parquet_files
from whowas.timestamps import AFTER_ALL, BEFORE_ALL
from whowas.workbench.api import Asked
from whowas.workbench.api.common import Commands, Question, Status, TimeRange
from whowas.workbench.api.findings import Finding, FindingAsk, FindingRow, Findings, FindingsAsk
from whowas.workbench.api.flows import Facet, Facets, FacetsAsk, Flows, FlowsAsk
from whowas.workbench.api.map import MapAsk, ServiceMap
from whowas.workbench.api.overview import Ends, Histogram, HistogramAsk, Talkers, TopAsk
from whowas.workbench.api.who import Gaps, Who, WhoAsk
from whowas.workbench.database import Call
from whowas.workbench.edges import bounds
from whowas.workbench.filter_text import read
from whowas.workbench.hours import Hour, touched
from whowas.workbench.problems import NotFoundError
from whowas.workbench.report import inputs, policies
from whowas.workbench.workbench import Workbench

AROUND_US = 15 * 60_000_000
LAST_US = 253_402_300_799_000_000  # 9999-12-31T23:59:59Z
MOST_EDGES, MOST_TALKERS, MOST_FINDINGS, MOST_WHOLE = 400, 50, 50, 10
MOST_ADDRESSES, MOST_LANES, MOST_FLOWS, MOST_UNREAD = 12, 40, 50, 20
FLOW_COLUMNS = (
    "start_time", "src_ip", "src_port", "src_confidence", "src_kind", "src_namespace", "src_workload", "src_pod",
    "src_service", "src_reason", "dst_ip", "dst_port", "dst_confidence", "dst_kind", "dst_namespace", "dst_workload",
    "dst_pod", "dst_service", "dst_reason", "protocol", "bytes_out", "bytes_in",
)  # fmt: skip
Answer = TypeVar("Answer")


class Wish(NamedTuple):
    """What a report is asked for. filter: as on the page. finding: its uid, "" = all. span: None = all times."""

    filter: str = ""
    finding: str = ""
    span: TimeRange | None = None


class Told(NamedTuple):
    """One finding whole, with its flows as they were named."""

    finding: Finding
    flows: Flows


@dataclass
class Gathered:
    """All that a report tells. chosen: why these flows. missing: what is not in it, in words."""

    wish: Wish
    chosen: str
    status: Status
    ends: Ends
    over_time: Histogram
    map: ServiceMap
    talkers: Talkers
    reasons: list[Facet]
    verdicts: policies.Verdicts | None
    findings: list[FindingRow]
    findings_all: int
    whole: list[Told]
    who: list[Who]
    gaps: Gaps | None
    commands: Commands
    inputs: inputs.Inputs
    unread: list[str]
    damaged: list[str]
    missing: list[str] = field(default_factory=list)

    @property
    def flows(self) -> int:
        """How many flows there are; each is counted once as a source."""
        return sum(flows for side, flows in zip(self.ends.side, self.ends.flows, strict=True) if side == "src")

    @property
    def bytes(self) -> int:
        """Their bytes."""
        return sum(size for side, size in zip(self.ends.side, self.ends.bytes, strict=True) if side == "src")

    @property
    def unreadable(self) -> bool:
        """Was something there that could not be read?"""
        return bool(self.status.unreadable or self.damaged or self.unread)


def gather(bench: Workbench, wish: Wish, served: Call | None = None) -> Gathered:
    """Ask everything. served: the bench serves a page, and is as far as it is; with the call that ends this.

    Raises: InputError, ConfigError, NotFoundError, CancelledError.
    """
    call = served or Call()
    read(wish.filter)
    chosen = ""
    if wish.finding:
        wish, chosen = _about(_finding(bench, call, wish.finding), wish)
    wish = wish._replace(span=_closed(bench, wish.span))
    since, until = bounds(wish.span)
    if served is None:
        bench.rollups.build_all(span=(since, until))
        bench.history.load()
    unread = [bad.of(one.path) for one in bench.history.read_report().files for bad in one.unreadable]
    question = wish.filter, wish.span
    listed, total, whole = _findings(bench, call, wish)
    facets = _ask(
        bench, call, "/api/facets", FacetsAsk(*question, columns=["src_reason", "dst_reason", policies.VERDICT]), Facets
    )
    made = Gathered(
        wish=wish,
        chosen=chosen,
        status=bench.status(),
        ends=_ask(bench, call, "/api/ends", Question(*question), Ends),
        over_time=_ask(bench, call, "/api/histogram", HistogramAsk(*question), Histogram),
        map=_ask(bench, call, "/api/map", MapAsk(*question, by="workload", limit=MOST_EDGES), ServiceMap),
        talkers=_ask(bench, call, "/api/talkers", TopAsk(*question, limit=MOST_TALKERS), Talkers),
        reasons=[one for one in facets.facets if one.column != policies.VERDICT],
        verdicts=policies.gather(bench, call, MapAsk(*question), facets.facets),
        findings=listed,
        findings_all=total,
        whole=whole,
        who=_who(bench, call, wish, whole) if bench.history else [],
        gaps=_ask(bench, call, "/api/gaps", Question(range=wish.span), Gaps) if bench.history else None,
        commands=_ask(bench, call, "/api/commands", Question(*question), Commands),
        inputs=inputs.look(_files(bench, since, until)),
        unread=unread,
        damaged=[one for hour in touched(bench.rollups.state.found.hours, since, until) for one in _damaged(hour)],
    )
    made.missing = [*_missing(bench, made, facets)]
    return made


def _closed(bench: Workbench, span: TimeRange | None) -> TimeRange | None:
    """A range whose open sides end where the flows do: a picture of all times would show nothing."""
    if span is None:
        return None
    status = bench.status()
    since = status.since if status.since is not None else 0
    until = status.until if status.until is not None else LAST_US
    low = min(since, span.until) if span.since <= BEFORE_ALL else span.since
    return TimeRange(low, max(until, low) if span.until >= AFTER_ALL else span.until)


def _ask(bench: Workbench, call: Call, path: str, asked: Asked, _kind: type[Answer]) -> Answer:
    return cast("Answer", bench.answer(path, asked, call))


def _finding(bench: Workbench, call: Call, uid: str) -> Finding:
    try:
        return _ask(bench, call, "/api/finding", FindingAsk(uid), Finding)
    except NotFoundError:
        raise InputError(
            f"cannot report finding '{uid[:80]}': '{bench.findings.path}' has no such finding; leave --finding out to "
            "see those there are"
        ) from None


def _about(one: Finding, wish: Wish) -> tuple[Wish, str]:
    """What a report of a finding looks at, as far as nobody said it: its sources, and some time around."""
    told = []
    if wish.span is None:
        span = TimeRange(one.row.first - AROUND_US, one.row.last + 1 + AROUND_US)
        wish = wish._replace(span=span)
        told.append("15 minutes before and after the finding")
    sources = list(dict.fromkeys(address for address in _addresses(one, "src_endpoint")))[:MOST_ADDRESSES]
    if not wish.filter and sources:
        wish = wish._replace(filter=" ".join(f"ip={address}" for address in sources))
        told.append("all flows of the addresses that its flows came from, whoever held them")
    return wish, "; ".join(told)


def _addresses(one: Finding, *places: str) -> Iterator[str]:
    """Addresses in a finding's evidences. What is none there is left out."""
    for evidence in _dicts(one.ocsf.get("evidences")):
        for place in places:
            address = (evidence.get(place) or {}).get("ip") if isinstance(evidence.get(place), dict) else None
            if isinstance(address, str) and is_address(address):
                yield address


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


def _findings(bench: Workbench, call: Call, wish: Wish) -> tuple[list[FindingRow], int, list[Told]]:
    """Findings of the range, and the worst of them whole."""
    if not bench.findings:
        return [], 0, []
    asked = FindingsAsk(range=wish.span, limit=MOST_FINDINGS)
    found = _ask(bench, call, "/api/findings", asked, Findings)
    uids = [wish.finding] if wish.finding else [one.uid for one in found.findings[:MOST_WHOLE]]
    whole = [_finding(bench, call, uid) for uid in uids]
    return found.findings, found.total, [Told(one, _flows(bench, call, one)) for one in whole]


def _flows(bench: Workbench, call: Call, one: Finding) -> Flows:
    """The flows of a finding, as the folder has them."""
    ids = [uid for uid in one.flow_ids if len(uid) == 32 and uid.isalnum()][:MOST_FLOWS]
    words = " ".join(f"where=flow_id={uid}" for uid in ids) or f"where=flow_id={'0' * 32}"
    # OCSF has milliseconds, and evidence may be older than the window that a finding tells.
    span = TimeRange(one.row.first - AROUND_US, one.row.last + AROUND_US)
    asked = FlowsAsk(words, span, columns=list(FLOW_COLUMNS), oldest_first=True, limit=MOST_FLOWS)
    return _ask(bench, call, "/api/flows", asked, Flows)


def _who(bench: Workbench, call: Call, wish: Wish, whole: Sequence[Told]) -> list[Who]:
    """Who held the addresses that findings and the filter name."""
    asked: dict[str, int | None] = {}
    for told in whole:
        for address in _addresses(told.finding, "src_endpoint", "dst_endpoint"):
            asked.setdefault(address, _when(told, address))
    for word in read(wish.filter).words:
        if word.word in ("ip", "src", "dst", "end") and not word.negated and is_address(word.value):
            asked.setdefault(word.value, None)
    found = []
    for address, at in list(asked.items())[:MOST_ADDRESSES]:
        question = WhoAsk(range=wish.span, what=address, at=at, limit=MOST_LANES)
        found.append(_ask(bench, call, "/api/who", question, Who))
    return found


def _when(told: Told, address: str) -> int:
    """When an address first spoke in a finding's flows."""
    flows = told.flows
    place = {name: flows.columns.index(name) for name in ("start_time", "src_ip", "dst_ip")}
    times = [
        flows.values[place["start_time"]][row]
        for row in range(len(flows.flow_id))
        if address in (flows.values[place["src_ip"]][row], flows.values[place["dst_ip"]][row])
    ]
    return min((one for one in times if one is not None), default=told.finding.row.first)


def _files(bench: Workbench, since: int, until: int) -> Iterator[tuple[str, str, str]]:
    """Files that the report was made of: (kind, name, path)."""
    if bench.findings.path is not None:
        path = bench.findings.path
        for file in sorted(path.glob("*.jsonl")) if path.is_dir() else [path]:
            yield "findings", str(file), str(file)
    for name in find_evidence(bench.history.paths).paths if bench.history else ():
        yield "history", name, name
    for hour in touched(bench.rollups.state.found.hours, since, until):
        for name in hour.files:
            yield "flows", str(Path(name).relative_to(bench.rollups.flows)), name


def _missing(bench: Workbench, made: Gathered, facets: Facets) -> Iterator[str]:
    """What is not in the report, but for the gaps of the history."""
    for what, answer in (
        ("how sure the ends are", made.ends), ("flows over time", made.over_time), ("the map", made.map),
        ("the top edges", made.talkers), ("the reasons", facets),
    ):  # fmt: skip
        if answer.about.partial:
            yield f"{what}: {answer.about.partial}"
    for path, why in made.status.unreadable:
        yield f"{path} could not be read: {why}"
    yield from made.damaged
    yield from (f"a part of the history could not be read: {one}" for one in made.unread[:MOST_UNREAD])
    if len(made.unread) > MOST_UNREAD:
        yield f"{len(made.unread) - MOST_UNREAD:,} more parts of the history could not be read"
    if made.wish.span is not None:
        yield "flows that tell no start are in no range"
    elif made.over_time.untimed:
        yield f"{made.over_time.untimed:,} flows tell no start: they are counted, but stand in no picture over time"
    if bench.findings.refused:
        yield f"{bench.findings.refused:,} lines of the findings are none, or too long"
    if made.findings_all > len(made.findings):
        yield f"{made.findings_all - len(made.findings):,} findings of the range are not listed (limit {MOST_FINDINGS})"
    for one in made.who:
        if one.left_out:
            yield f"{one.left_out:,} holders of {one.what} are not shown (limit {MOST_LANES})"
    if not bench.history:
        yield "no history was given: nothing here says who else held an address, nor when nobody was looking"
    if not bench.findings:
        yield "no findings were given"


def _damaged(hour: Hour) -> Iterator[str]:
    sound = set(parquet_files.without_damaged(hour.as_files()).paths())
    for path in hour.files:
        if path not in sound:
            yield f"{Path(path).name} is damaged: its flows are not here"
