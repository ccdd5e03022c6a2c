"""Lets the tests of this room import `build`, which lies with those of naming, and gives them the sample's history."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from enrich import History
from whowas import load_history

sys.path.insert(0, str(Path(__file__).parent.parent / "enrich"))


@pytest.fixture(scope="session")
def overlay(root: Path) -> History:
    """The history of samples/overlay."""
    return load_history(root / "samples" / "overlay" / "history.jsonl.gz")
