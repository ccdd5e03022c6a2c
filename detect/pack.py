"""The rules that come with whowas, and how a user names them: by the word `pack`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PACK = Path(__file__).with_name("rules")
WORD = "pack"


def rule_paths(words: Sequence[str] = ()) -> list[Path]:
    """Return files and folders of rules: `pack` stands for the rules delivered, which are also meant by no word."""
    return [PACK if word == WORD else Path(word) for word in words or (WORD,)]
