"""Answers a person: who held an address, what a workload held, and why."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ingest.cluster import EvidenceReport, in_order, read_observations
from ingest.files import find_inputs, open_input
from whowas.addresses import is_address
from whowas.errors import BrokenInput, ConfigError, InputError
from whowas.sqlite_file import is_database
from whowas.stages import FileReport, Unreadable
from whowas.timestamps import moment_us

if TYPE_CHECKING:
    from enrich import History, NamingOptions
    from whowas.observation import Observation

WHAT_IS_ONE = "give a store, watch events, kubectl lists or audit logs (docs/how-to/evidence.md)"
# Files that are taken for a history by mistake: a capture in its place, most of all.
CAPTURES = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a")
NONE_EITHER = (*((magic, "a capture") for magic in CAPTURES), (b"PAR1", "a Parquet file"), (b"PK\3\4", "a zip archive"))
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def listed(paths: Paths) -> list[str]:
    """Return one path or several as a list."""
    if isinstance(paths, (str, os.PathLike)):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]


def the_store(history: Paths) -> str | None:
    """Return the store among the paths, None for files of evidence. Raises: ConfigError for both at once."""
    paths = find_inputs(listed(history))
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
    from enrich.history.history import derive

    told = EvidenceReport() if report is None else report
    store = the_store(history)
    if store is None:
        paths = in_order(find_inputs(listed(history)))
        known = derive(read_observations(paths, cluster, told, progress))
        _refuse_nothing(told.files)
        return known
    from enrich.history.stored import StoredHistory

    stored = StoredHistory(store)
    stored.close()
    told.files.append(FileReport(store, format="store"))
    told.observations.update(stored.counts)
    return stored.history


def _refuse_nothing(files: list[FileReport]) -> None:
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


def load_about(what: str, history: Paths, **told: Any) -> History:
    """Load what is needed to answer about an address or a pod: of a store, only what speaks of it."""
    store = the_store(history)
    if store is None:
        return load_history(history, **told)
    from enrich.history.stored import history_of_address, history_of_name

    if is_address(what):
        return history_of_address(store, what)
    found = history_of_name(store, what)
    return load_history(history, **told) if found is None else found


def who(
    what: str,
    at: Any = None,
    *,
    history: History | Paths,
    cluster: str | None = None,
    naming: NamingOptions | None = None,
) -> Any:
    """Say who held an address at a moment, or what a pod or workload held over time.

    Args: what: an address, `namespace/pod` or `kind/namespace/name`. at: RFC 3339 text, an aware
        datetime, or microseconds since 1970; without it the timeline.
    Returns: enrich.naming.who.Answer, or a list of enrich.naming.who.HoldView.
    """
    from enrich import History, NamingOptions

    known = history if isinstance(history, History) else load_about(what, history, cluster=cluster)
    options = naming or NamingOptions(cluster=cluster)
    return ask(known, what, at, options)


def ask(known: History, what: str, at: Any, options: NamingOptions) -> Any:
    """Answer `who` from a history that is loaded."""
    from enrich.naming.who import holds_of, timeline, who_at

    if not is_address(what):
        if at is not None:
            raise ConfigError(f"cannot ask where '{what}' was at a moment: --at goes with an address; leave it out")
        return holds_of(known, what, options.cluster)
    return timeline(known, what, options.cluster) if at is None else who_at(known, what, moment_us(at), options)


def evidence_of(uids: Iterable[str], history: Paths, cluster: str | None = None) -> list[Observation]:
    """Return every observation of some objects, in the order in which they count."""
    wanted = dict.fromkeys(uids)
    store = the_store(history)
    if store is not None:
        from enrich.history.stored import observations_of

        return observations_of(store, wanted, cluster)
    paths = in_order(find_inputs(listed(history)))
    every = read_observations(paths, cluster, EvidenceReport())
    found: dict[str, list[Observation]] = {uid: [] for uid in wanted}
    for one in every:
        if one.object.metadata is not None and one.object.metadata.uid in found:
            found[one.object.metadata.uid].append(one)
    return [one for several in found.values() for one in several]
