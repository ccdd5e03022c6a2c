"""Answers a person: who held an address, what a workload held, and why."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple

from ingest.files import open_input
from whowas.addresses import sixteen
from whowas.errors import BrokenInput, ConfigError, InputError
from whowas.history.evidence_files import Paths, find_evidence
from whowas.history.questions import Question, read_question
from whowas.sqlite_file import is_database
from whowas.stages import FileReport, Unreadable
from whowas.timestamps import moment_us

if TYPE_CHECKING:
    from enrich import History, NamingOptions
    from ingest.cluster import EvidenceReport
    from whowas.observation import Observation

# Of a store, larger networks are answered from all of it.
NETWORK_MOST = 4096
POLL_SECONDS = 1.0
WHAT_IS_ONE = "give a store, watch events, kubectl lists or audit logs (docs/how-to/evidence.md)"
# Files that are taken for a history by mistake: a capture in its place, most of all.
CAPTURES = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a")
NONE_EITHER = (*((magic, "a capture") for magic in CAPTURES), (b"PAR1", "a Parquet file"), (b"PK\3\4", "a zip archive"))


def the_store(history: Paths) -> str | None:
    """Return the store among the paths, None for files of evidence. Raises: ConfigError for both at once."""
    paths = find_evidence(history, ordered=False).paths
    stores = [path for path in paths if is_database(path)]
    # In a folder a store has company of its own.
    beside = {f"{path}{tail}" for path in stores for tail in ("-wal", "-shm", ".lock")}
    paths = [path for path in paths if path not in beside]
    if stores and len(paths) > 1:
        other = next((path for path in paths if path != stores[0]), stores[0])
        raise ConfigError(
            f"cannot use '{other}' beside the store '{stores[0]}': a store stands alone; "
            f"add to it with 'whowas history import {stores[0]} {other}'"
        )
    return stores[0] if stores else None


def load_history(
    history: Paths,
    *,
    cluster: str | None = None,
    report: EvidenceReport | None = None,
    progress: Callable[[Any], None] | None = None,
) -> History:
    """Read a store or evidence files, and derive who held each address when.

    Args: history: a store, or files, folders or globs of evidence. cluster: name for evidence that carries none.
    Raises: InputError for a path that names nothing and for files that are no evidence, StoreError for a store that
    cannot be read.
    """
    from ingest.cluster import EvidenceReport

    told = EvidenceReport() if report is None else report
    store = the_store(history)
    if store is None:
        from enrich.history.history import derive
        from ingest.cluster import read_observations
        from whowas.history.kept_evidence import derived

        files = find_evidence(history)
        known = derived(
            files, cluster, told,
            lambda: derive(read_observations(files.paths, cluster, told, progress, files.taken)),
        )  # fmt: skip
        refuse_nothing(told.files)
        return known
    from enrich.history.sealed import load

    stored = load(store)
    told.files.append(FileReport(store, format="store"))
    told.observations.update(stored.counts)
    return stored.history


def refuse_nothing(files: list[FileReport]) -> None:
    """A history in which nothing could be read is none: to name by it would be to call everybody unknown.

    Raises: InputError. What is merely empty is listed as such.
    """
    if any(one.records for one in files):
        return
    for one in files:
        if one.unreadable and one.unreadable[0].whole:
            raise InputError(f"cannot read '{one.path}': {one.unreadable[0].reason}")
        if one.unreadable:
            raise InputError(f"cannot use '{one.path}' as a history: {why_none(one)}; {WHAT_IS_ONE}")
    for one in files:
        one.unreadable.append(Unreadable(0, "there is no evidence in it"))


def why_none(file: FileReport) -> str:
    """Say what a file is in which nothing is evidence."""
    if os.path.isfile(file.path):
        with open_input(file.path) as source, contextlib.suppress(BrokenInput):
            head = source.read(4)
            found = next((what for magic, what in NONE_EITHER if head.startswith(magic)), "")
            if found:
                return f"it is {found}"
    first = file.unreadable[0]
    return f"nothing in it is evidence (at byte {first.offset:,}: {first.reason})"


def load_about(question: Question, history: Paths, **told: Any) -> History:
    """Load what is needed to answer a question: of a store, only what speaks of it."""
    store = the_store(history)
    if store is None or whole(question):
        return load_history(history, **told)
    from enrich.history.sealed import kept
    from enrich.history.stored import history_of_address, history_of_addresses, history_of_name

    every = None if question.name else kept(store)
    if every is not None:
        return every
    if question.address:
        return history_of_address(store, question.address)
    if question.network is not None:
        return history_of_addresses(store, map(sixteen, question.network))
    found = history_of_name(store, question.name)
    return load_history(history, **told) if found is None else found


def whole(question: Question) -> bool:
    """Say whether a question needs all of a store: whose a port is other objects tell, of large networks most speak."""
    large = question.network is not None and question.network.num_addresses > NETWORK_MOST
    return large or question.port is not None


def who(
    what: str,
    at: Any = None,
    *,
    history: History | Paths,
    cluster: str | None = None,
    naming: NamingOptions | None = None,
) -> Any:
    """Say who held an address at a moment, or what a pod, a workload or the addresses of a network held.

    Args: what: an address, `address:port`, a network (CIDR), `namespace/pod`, or `kind/namespace/name` with kubectl's
        short names. at: RFC 3339 text, an aware datetime, "now", or a number since 1970 in s, ms, us or ns by its
        magnitude; without it the timeline.
    Returns: of an address at a moment an enrich.naming.who.Answer; of several, a list of these; without `at` a list of
        enrich.naming.who.HoldView. Times in them are aware datetimes in UTC.
    Raises: ConfigError for what is no address, no time or not known, WhowasError for the history.
    """
    from enrich import History, NamingOptions

    question = read_question(what)
    known = history if isinstance(history, History) else load_about(question, history, cluster=cluster)
    options = naming or NamingOptions(cluster=cluster)
    return ask(known, question, None if at is None else moment_us(at), options).found


class Reply(NamedTuple):
    """An answer to a question.

    found: an Answer, or a list of Answers (about a moment) or HoldViews. total: how many there would be.
    at_us: the moment that was asked of. unknown: why, where there are no Answers, somebody may have been there yet.
    """

    question: Question
    found: Any
    total: int
    at_us: int | None = None
    unknown: str = ""


def ask(
    known: History,
    question: Question,
    at_us: int | None,
    options: NamingOptions,
    zone: tzinfo = UTC,
    limit: int | None = None,
) -> Reply:
    """Answer from a history that is loaded. limit: of lists no more than so many are made."""
    if at_us is not None:
        return _ask_at(known, question, at_us, options, zone, limit)
    from enrich.naming import who_several
    from enrich.naming.who import timeline

    one, cluster = question, options.cluster
    if one.network is not None:
        total, within = who_several.timeline_within(known, one.network, cluster, limit)
        return Reply(one, within, total)
    if one.address:
        views = timeline(known, one.address, cluster, options.networks)
    else:
        views = who_several.holds_of(known, one.name, cluster)
    return Reply(one, views if limit is None else views[:limit], len(views))


def _ask_at(
    known: History, one: Question, at_us: int, options: NamingOptions, zone: tzinfo, limit: int | None
) -> Reply:
    from enrich.naming import who_several
    from enrich.naming.who import who_at

    if one.address:
        return Reply(one, who_at(known, one.address, at_us, options, port=one.port, zone=zone), 1, at_us)
    if one.network is not None:
        total, answers = who_several.held_within(known, one.network, at_us, options, zone, limit)
    else:
        total, answers = who_several.held_at(known, one.name, at_us, options, zone, limit)
    unknown = "" if total else who_several.why_unknown(known, at_us, options.cluster)
    return Reply(one, answers, total, at_us, unknown)


def wait_until_known(store: str, cluster: str | None, at_us: int, seconds: float) -> bool:
    """Wait until a growing store knows what happened at a moment, for so long at most. Returns: whether it does.

    A pod's address may be reported so long after the fact (PUBLISHED_WITHIN).
    """
    from enrich.history.stored import history_of_addresses
    from enrich.holds.pod_track import PUBLISHED_WITHIN

    until = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        covered = history_of_addresses(store, ()).cluster(cluster).covered
        if covered and covered[-1][1] >= at_us + PUBLISHED_WITHIN:
            return True
        now = time.monotonic()
        if now >= until:
            return False
        time.sleep(min(max(POLL_SECONDS, 4 * (now - began)), until - now))


def evidence_of(uids: Iterable[str], history: Paths, cluster: str | None = None) -> list[Observation]:
    """Return every observation of some objects, in the order in which they count."""
    wanted = dict.fromkeys(uids)
    store = the_store(history)
    if store is not None:
        from enrich.history.stored import observations_of

        return observations_of(store, wanted, cluster)
    from ingest.cluster import EvidenceReport, read_observations

    files = find_evidence(history)
    every = read_observations(files.paths, cluster, EvidenceReport(), taken=files.taken)
    found: dict[str, list[Observation]] = {uid: [] for uid in wanted}
    for one in every:
        if one.object.metadata is not None and one.object.metadata.uid in found:
            found[one.object.metadata.uid].append(one)
    return [one for several in found.values() for one in several]
