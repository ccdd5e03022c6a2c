"""The history that is served: read in the background, and read again when its files have changed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ingest.cluster import EvidenceReport
from whowas.errors import WhowasError
from whowas.history.evidence_files import find_evidence
from whowas.history.queries import evidence_of, load_history, the_store
from whowas.policy.loading import policies_alone
from whowas.workbench.problems import BusyError, NotServedError

if TYPE_CHECKING:
    from detect.policy.timeline import Timeline
    from enrich import History
    from whowas.observation import Observation

LOOK_SECONDS = 15.0
PATIENCE_SECONDS = 20.0
POLICY_SECONDS = 5.0
AT_ONCE_BYTES = 16 << 20
"""Files of evidence up to this are read again for one question; of a store that is an index's work."""


class ServedHistory:
    """Args: paths: a store, or files of evidence; none: no history is served. Raises: InputError, ConfigError."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = list(paths)
        if self.paths:
            the_store(self.paths)  # What is not there, or does not go together, is said before anything is served.
        self._known: History | None = None
        self._why = ""
        self._told = EvidenceReport()
        self._seen: object = None
        self._looked = 0.0
        self._lock = threading.Lock()
        self._there = threading.Event()
        self._policies: dict[str, Timeline] | None = None
        self._policies_there = threading.Event()
        self._loading: threading.Thread | None = None

    def __bool__(self) -> bool:
        return bool(self.paths)

    def start(self) -> None:
        """Begin to read."""
        with self._lock:
            if self.paths and (self._loading is None or not self._loading.is_alive()):
                self._loading = threading.Thread(target=self._load, name="history", daemon=True)
                self._loading.start()

    def load(self) -> None:
        """Read it now. Raises: InputError and what else load_history does."""
        if self.paths:
            told = EvidenceReport()
            self._known, self._seen = load_history(self.paths, report=told), self._marks()
            self._told, self._looked = told, time.monotonic()
            self._there.set()
            self._load_policies()

    def read_report(self) -> EvidenceReport:
        """What became of its files when it was read. Raises: NotServedError, BusyError."""
        if self.paths:
            self.history()
        return self._told

    def _load(self) -> None:
        seen, told = self._marks(), EvidenceReport()
        try:
            self._known, self._told, self._why = load_history(self.paths, report=told), told, ""
        except WhowasError as error:
            self._why = str(error)
        self._seen, self._looked = seen, time.monotonic()
        self._there.set()
        self._load_policies()

    def _load_policies(self) -> None:
        """Behind the history: who held what is asked first."""
        try:
            self._policies = policies_alone(self.paths)
        except (WhowasError, OSError):
            self._policies = None
        self._policies_there.set()

    def policies(self) -> dict[str, Timeline] | None:
        """Return what is known of policies, by cluster; None: they are being read still, or could not be."""
        return self._policies if self._policies_there.wait(POLICY_SECONDS) else None

    def _marks(self) -> object:
        """Names, sizes and times of its files, and of what SQLite keeps beside them."""
        found = []
        try:
            for path in find_evidence(self.paths).paths:
                for name in (path, f"{path}-wal"):
                    if os.path.exists(name):
                        told = os.stat(name)
                        found.append((name, told.st_size, told.st_mtime_ns))
        except (OSError, WhowasError):
            return None
        return found

    def history(self) -> History:
        """Return what is known. A newer one is read in the background. Raises: NotServedError, BusyError."""
        if not self.paths:
            raise NotServedError("no history is served: start whowas serve with --history")
        if not self._there.wait(PATIENCE_SECONDS):
            raise BusyError("the history is being read; ask again in a moment")
        if self._known is None:
            raise NotServedError(f"the history cannot be used: {self._why}")
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            if self._marks() != self._seen:
                self.start()
        return self._known

    def evidence(self, uids: Iterable[str], cluster: str | None) -> list[Observation]:
        """Every observation of some objects. Files of evidence are read again for it. Raises: InputError."""
        return evidence_of(uids, self.paths, cluster)

    def at_once(self) -> bool:
        """Is evidence there without reading much?"""
        if not self.paths:
            return False
        try:
            found = find_evidence(self.paths).paths
            return the_store(self.paths) is not None or sum(map(os.path.getsize, found)) <= AT_ONCE_BYTES
        except (OSError, WhowasError):
            return False
