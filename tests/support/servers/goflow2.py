"""A real goflow2 on 127.0.0.1: NetFlow and IPFIX over UDP in, a Kafka topic out.

    with Goflow2(broker.plain, "flows", "json") as collector:
        collector.replay("capture.pcap", version=9)

Build it first: `make servers`. The exporter is softflowd.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from types import TracebackType

from support.servers.build_goflow2 import program
from support.servers.process import Server, free_port


def exporter_missing() -> str:
    """Return what an exporter lacks on this machine; nothing where there is one."""
    return "" if shutil.which("softflowd") else "no softflowd: it is not installed"


class Goflow2:
    """One collector that hands on at once what it decodes. Use it as a context manager."""

    def __init__(self, brokers: str, topic: str, form: str) -> None:
        """Args: form: goflow2's own word for what a Kafka value is, `json` or `bin`."""
        self.port, self._page = free_port(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="whowas-goflow2-"))
        # One worker: with several, data is decoded before the template that came ahead of it, and is lost.
        listen = ["-listen", f"netflow://127.0.0.1:{self.port}?count=1&workers=1", "-addr", f"127.0.0.1:{self._page}"]
        kafka = ["-transport", "kafka", "-transport.kafka.brokers", brokers, "-transport.kafka.topic", topic]
        command = [str(program()), *listen, *kafka, "-transport.kafka.flushfreq", "100ms", "-format", form]
        self.server = Server("goflow2", command, self.folder / "goflow2.log", self._answers)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._page}/metrics", timeout=1) as page:
                return bool(page.status == 200)
        except OSError:
            return False

    def __enter__(self) -> Goflow2:
        self.server.start(20)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def replay(self, capture: Path, version: int) -> None:
        """Let softflowd export a capture's flows to the collector as NetFlow 5 or 9, or as IPFIX (10)."""
        command = ["softflowd", "-d", "-r", str(capture), "-n", f"127.0.0.1:{self.port}", "-v", str(version)]
        # With a control socket it waits for orders when the capture has ended.
        command += ["-c", "none", "-p", str(self.folder / f"pid-{version}")]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
