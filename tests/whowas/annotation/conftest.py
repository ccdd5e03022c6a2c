"""Gives the tests of annotation the sample's history."""

from __future__ import annotations

from pathlib import Path

import pytest

from enrich import History
from whowas import load_history


@pytest.fixture(scope="session")
def overlay(root: Path) -> History:
    """The history of samples/overlay."""
    return load_history(root / "samples" / "overlay" / "history.jsonl.gz")
