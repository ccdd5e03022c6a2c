"""All that is served: flows with their roll-ups, a history, findings. One method answers any question of the API."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from whowas.errors import InputError
from whowas.schema import COLUMNS, CONFIDENCES
from whowas.version import __version__
from whowas.workbench import explained, exports, filter_text, overview, pages, service_map, traffic, who
from whowas.workbench.api import Asked, Check, Checked, Status, Told
from whowas.workbench.api.common import ColumnInfo, Question
from whowas.workbench.api.flows import ExportAsk
from whowas.workbench.commands import Places, of_question
from whowas.workbench.database import Call, Database
from whowas.workbench.edges import FLOW_SECONDS, Asking
from whowas.workbench.findings import ServedFindings
from whowas.workbench.histories import ServedHistory
from whowas.workbench.kept import Kept
from whowas.workbench.on_rollups import answerable
from whowas.workbench.rollup_sql import EDGE_COLUMNS
from whowas.workbench.rollups import Rollups

Answer = Callable[[Asking, Any], Told]
PAGE_LIMIT, EXPORT_LIMIT = 1000, 1_000_000


class Workbench:
    """Answers questions; may be asked by many threads at once. `start` begins to build roll-ups.

    Args: flows: folder. history: a store or evidence, may be empty. findings: file or folder. cache: for roll-ups.
    flow_seconds: so long flows are read for a question that roll-ups cannot answer.
    Raises: InputError, OutputError, ConfigError.
    """

    def __init__(
        self,
        flows: str,
        cache: Path,
        history: Sequence[str] = (),
        findings: str | None = None,
        flow_seconds: float = FLOW_SECONDS,
    ) -> None:
        self.rollups = Rollups(flows, cache)
        self.history = ServedHistory(history)
        self.findings = ServedFindings(findings)
        self.flow_seconds = flow_seconds
        self.places = Places(flows, tuple(history), findings or "")
        self._database = Database([self.rollups.flows, str(self.rollups.folder)])
        self.rollups.keep_in(Kept(self._database.link))
        self._calls: set[Call] = set()
        self._lock = threading.Lock()
        self._answers: dict[str, Answer] = {
            "/api/check": self._check,
            "/api/overview": overview.overview,
            "/api/histogram": overview.histogram,
            "/api/ends": overview.ends,
            "/api/talkers": overview.talkers,
            "/api/changes": overview.changes,
            "/api/map": service_map.service_map,
            "/api/gaps": lambda asking, asked: who.gaps(asking, self.history.history(), asked),
            "/api/who": lambda asking, asked: who.who(asking, self.history.history(), asked, self.history.policies()),
            "/api/evidence": lambda asking, asked: explained.evidence(asking, self.history, asked),
            "/api/shared": traffic.shared,
            "/api/flows": pages.page,
            "/api/facets": pages.facets,
            "/api/flow": pages.whole,
            "/api/commands": self._commands,
            "/api/findings": self.findings.listed,
            "/api/finding": lambda _, asked: self.findings.one(asked),
            "/api/note": lambda _, asked: self.findings.note(asked),
        }

    def start(self) -> None:
        """Begin to build roll-ups and to read the history."""
        self.rollups.start()
        self.history.start()

    def close(self) -> None:
        """Stop everything that runs."""
        with self._lock:
            calls = list(self._calls)
        for call in calls:
            call.end()
        self.rollups.close()
        self._database.close()

    def answer(self, path: str, asked: Asked, call: Call) -> Told:
        """Answer one question. Raises: WhowasError (whowas.workbench.problems has the kinds)."""
        with self._asking(call) as asking:
            return self._answers[path](asking, asked)

    def export_partial(self, asked: ExportAsk, call: Call) -> str:
        """Say why a file of flows will not be whole; "" when it will be."""
        with self._asking(call, self._database.export_cursor) as asking:
            return exports.partial(asking, asked)

    def export(self, asked: ExportAsk, call: Call) -> Iterator[bytes]:
        """Yield a file of flows. What is wrong with the question is raised before the first piece."""
        with self._asking(call, self._database.export_cursor) as asking:
            yield from exports.pieces(asking, asked)

    @contextmanager
    def _asking(
        self, call: Call, lend: Callable[[Call], AbstractContextManager[Any]] | None = None
    ) -> Iterator[Asking]:
        import duckdb

        with self._lock:
            self._calls.add(call)
        try:
            with (lend or self._database.cursor)(call) as link:
                yield Asking(link, self.rollups.state, call, flow_seconds=self.flow_seconds, places=self.places)
        except (duckdb.IOException, duckdb.CatalogException) as error:
            # Files were put together meanwhile: what there is now is known in a moment.
            self.rollups.look_again()
            raise InputError("files of the flows were exchanged meanwhile; ask again") from error
        finally:
            with self._lock:
                self._calls.discard(call)

    def status(self) -> Status:
        """What is served, and how far it is."""
        state = self.rollups.state
        timed = [one for one in state.found.hours if one.timed]
        broken = [(one.id, state.broken[one.key]) for one in state.found.hours if one.key in state.broken]
        return Status(
            version=__version__,
            folder=Path(self.rollups.flows).name,
            clusters=sorted({one.cluster for one in state.found.hours}),
            since=min((one.since for one in timed if one.since > 0), default=None),
            until=max((one.until for one in timed if one.since > 0), default=None),
            hours=len(state.found.hours),
            ready=len(state.ready),
            building=state.building,
            flows=sum(one.flows for one in state.ready.values()),
            bytes=sum(one.bytes for one in state.ready.values()),
            unreadable=[*((Path(path).name, why) for path, why in state.found.unreadable), *broken],
            history=bool(self.history),
            evidence=self.history.at_once(),
            findings=bool(self.findings),
            notes=self.findings.writable(),
            confidences=list(CONFIDENCES),
            paints=list(service_map.paints()),
            columns=columns(),
            page_limit=PAGE_LIMIT,
            export_limit=EXPORT_LIMIT,
        )

    def _check(self, asking: Asking, asked: Check) -> Checked:
        del asking
        complete = filter_text.complete(asked.filter)
        try:
            wanted = filter_text.read(asked.filter).filter
        except filter_text.FilterError as error:
            return Checked(str(error), error.at, [], False, complete)
        return Checked("", None, sorted(filter_text.columns_of(wanted)), answerable(wanted), complete)

    def _commands(self, asking: Asking, asked: Question) -> Told:
        return of_question(asked, asking.places)


def columns() -> list[ColumnInfo]:
    """Every column of a flow."""
    from detect.conditions.fields import fields

    known = fields()
    return [
        ColumnInfo(
            one.name, str(one.type), one.unit, one.meaning, list(known[one.name].words) if one.name in known else [],
            one.name in EDGE_COLUMNS,
        )
        for one in COLUMNS
    ]  # fmt: skip
