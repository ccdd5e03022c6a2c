"""Reloads the configuration when its files have changed, or when somebody asks."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from whowas.config import load
from whowas.errors import WhowasError
from whowas.settings import StreamConfig
from whowas.streaming import wiring
from whowas.streaming.delivery import Outputs
from whowas.streaming.naming import ChunkNamer

EVERY_SECONDS = 2.0


class Reload:
    """Takes over names and rules while a worker runs, nothing else. trouble: why the last try changed nothing."""

    def __init__(self, config: StreamConfig) -> None:
        self.trouble = ""
        self._wanted = threading.Event()
        self._files_seen, self._looked_at = wiring.versions(config), time.monotonic()

    def ask(self) -> None:
        """Let the next look read the configuration again. May be called from any thread."""
        self._wanted.set()

    def look(self, config: StreamConfig, naming: ChunkNamer, outputs: Outputs) -> StreamConfig | None:
        """Return the configuration that holds from now on; None where nothing has changed."""
        if time.monotonic() - self._looked_at > EVERY_SECONDS:
            self._looked_at, versions = time.monotonic(), wiring.versions(config)
            if versions != self._files_seen:
                self._files_seen = versions
                self._wanted.set()
        if not self._wanted.is_set():
            return None
        self._wanted.clear()
        return self._reload(config, naming, outputs)

    def _reload(self, config: StreamConfig, naming: ChunkNamer, outputs: Outputs) -> StreamConfig | None:
        """Take over names from the files as they are now; what cannot be read changes nothing, and is told."""
        try:
            fresh = load(config.path) if config.path else config
            naming.knowledge.renew(fresh.naming)
            if outputs.judging is not None and fresh.rules is not None:
                outputs.judging.renew(fresh)
        except WhowasError as error:
            self.trouble = f"cannot reload: {error}"
            return None
        self.trouble = ""
        naming.settings = replace(fresh.naming, wait=config.naming.wait)
        return replace(config, rules=fresh.rules, naming=naming.settings)
