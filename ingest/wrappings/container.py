"""Logs of containers: as runtimes keep them on a node, and as kubectl and oc print them.

Source: Kubernetes, design-proposals/node/kubelet-cri-logging (TIMESTAMP STREAM TAG CONTENT; P = goes on, F = ends);
Docker's json-file driver, which cuts at 16 KiB; `kubectl logs --prefix`; `oc adm node-logs`.
"""

from __future__ import annotations

import re

from msgspec import Struct

from ingest.wrappings.shapes import NOTHING, STAMP, Envelope, Prefix, decoder, text

CRI_LINE = re.compile(STAMP + rb" (stdout|stderr) ([FP])(?::[^ \n]*)?(?: |\r?$)")
STREAMS = ("stdout", "stderr")
DOCKER_CUTS = 16_384
KUBECTL = Prefix("kubectl", rb"\[pod/[a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9-]*\] (?:" + STAMP + rb" )?")
# A host alone says little: only before an object.
NODE_LOGS = Prefix("node-logs", rb"[A-Za-z0-9][A-Za-z0-9.-]{0,252} (?=\{)")


class Cri:
    """Files below /var/log/pods."""

    name, is_text, joins = "cri", True, True

    def opened(self, outer: bytes) -> list[bytes] | None:
        """See Wrapping. Of several lines each stream's parts are joined; what lies between them is given as it is."""
        if b"\n" not in outer:
            found = CRI_LINE.match(outer)
            return [outer[found.end() :]] if found else None
        if CRI_LINE.match(outer) is None:
            return None
        parts: dict[bytes, list[bytes]] = {}
        whole: list[bytes] = []
        for line in outer.split(b"\n"):
            found = CRI_LINE.match(line)
            if found is None:
                whole += [line] if line.strip() else []
                continue
            partial = found[2] == b"P"
            parts.setdefault(found[1], []).append((line.rstrip(b"\r") if partial else line)[found.end() :])
            if not partial:
                whole.append(b"".join(parts.pop(found[1])))
        return [*whole, *(b"".join(rest) for rest in parts.values())]

    def goes_on(self, line: bytes, waiting: frozenset[bytes]) -> frozenset[bytes]:
        """See Wrapping."""
        found = CRI_LINE.match(line)
        if found is None:
            return waiting
        return waiting | {found[1]} if found[2] == b"P" else waiting - {found[1]}


class DockerLine(Struct):
    """A line of json-file; log ends with a line break unless the line was cut."""

    log: str
    stream: str


class Docker(Envelope):
    """Files of Docker's json-file driver, and what Fluentd and Fluent Bit make of them."""

    name, joins = "docker", True
    _line = decoder(DockerLine)

    def inside(self, outer: bytes) -> list[bytes] | None:
        """See Envelope."""
        first, several, _ = outer.partition(b"\n")
        if not several:
            found = self._line.decode(outer)
            return [text(found.log)] if found.stream in STREAMS else None
        if self._read(first) is None:
            return None
        parts: dict[str, list[str]] = {}
        whole: list[bytes] = []
        for line in outer.split(b"\n"):
            found = self._read(line)
            if found is None:
                whole += [line] if line.strip() else []
                continue
            parts.setdefault(found.stream, []).append(found.log)
            if not _is_cut(found):
                whole.append(text("".join(parts.pop(found.stream))))
        return [*whole, *(text("".join(rest)) for rest in parts.values())]

    def goes_on(self, line: bytes, waiting: frozenset[bytes]) -> frozenset[bytes]:
        """See Wrapping. Only a line of 16 KiB can be cut, or end what was."""
        if len(line) < DOCKER_CUTS and not waiting:
            return NOTHING
        found = self._read(line)
        if found is None:
            return waiting
        stream = {found.stream.encode(errors="replace")}
        return waiting | stream if _is_cut(found) else waiting - stream

    def _read(self, line: bytes) -> DockerLine | None:
        try:
            found: DockerLine = self._line.decode(line)
        except (ValueError, RecursionError):
            return None
        return found if found.stream in STREAMS else None


def _is_cut(found: DockerLine) -> bool:
    return not found.log.endswith("\n") and len(found.log.encode(errors="replace")) >= DOCKER_CUTS
