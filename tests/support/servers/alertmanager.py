"""A real Alertmanager (Debian's package prometheus-alertmanager) on 127.0.0.1, gone when the test is."""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from support.servers.process import Server, free_port

PROGRAM = "prometheus-alertmanager"
CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


def missing() -> str:
    """Why none can be started; empty when one can."""
    return "" if shutil.which(PROGRAM) else f"'{PROGRAM}' is not installed"


class Alertmanager:
    """Use it as a context manager; `server` can be killed and started again."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="whowas-alertmanager-"))
        config = self.folder / "config.yml"
        config.write_text(CONFIG)
        self.url = f"http://127.0.0.1:{free_port()}"
        command = [
            PROGRAM, f"--config.file={config}", f"--storage.path={self.folder / 'data'}", "--cluster.listen-address=",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        ]  # fmt: skip
        self.server = Server("alertmanager", command, self.folder / "log", self._answers)

    def __enter__(self) -> Alertmanager:
        self.server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def alerts(self) -> list[dict[str, Any]]:
        """What it knows."""
        found: list[dict[str, Any]] = json.loads(self._get("/api/v2/alerts"))
        return found

    def _get(self, path: str) -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url + path, timeout=5) as answer:
            told: bytes = answer.read()
        return told

    def _answers(self) -> bool:
        try:
            return self._get("/-/ready") is not None
        except OSError:
            return False
