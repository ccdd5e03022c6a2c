"""Reads audit lines of a test, and shows what they told."""

from __future__ import annotations

from pathlib import Path

from ingest.cluster import EvidenceReport, read_observations
from whowas.observation import Observation


def read_all(tmp_path: Path, *files: str) -> tuple[list[Observation], EvidenceReport]:
    paths = []
    for number, content in enumerate(files):
        (tmp_path / f"audit-{number}.log").write_text(content)
        paths.append(str(tmp_path / f"audit-{number}.log"))
    report = EvidenceReport()
    return [one for one in read_observations(paths, None, report) if one.verb != "START"], report


IP = "10.244.1.5"


def read(tmp_path: Path, *files: str) -> tuple[list[Observation], EvidenceReport]:
    """What is said of objects."""
    found, report = read_all(tmp_path, *files)
    return [one for one in found if one.span is None], report


def shown(found: list[Observation]) -> list[tuple[str, str, str | None]]:
    """Verb, name and address of each sight."""
    return [
        (one.verb, one.object.metadata.name, one.object.status.podIP if one.object.status else None)
        for one in found
        if one.object.metadata is not None
    ]
