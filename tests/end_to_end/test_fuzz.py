"""Every reader of files is given damaged inputs: nothing but a WhowasError comes out of any. `make soak` goes on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import fuzz
from support.fuzz import FEEDS, Feed, damaged, executions

from whowas.errors import InputError

EACH = int(os.environ.get("WHOWAS_FUZZ", "250"))
SEED = int(os.environ.get("WHOWAS_FUZZ_SEED", "1"))


@pytest.mark.parametrize("reader", sorted(FEEDS))
def test_no_error_of_a_parser_escapes_its_reader(reader: str, tmp_path: Path) -> None:
    found = [f"seed {one.seed}: {one.told}" for one in executions(reader, SEED, EACH, tmp_path)]
    assert not found, "\n".join(found)


def test_what_fails_in_a_group_is_found_with_its_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The good error of one input hides no bad one behind it; what is too slow is found too."""
    bad, refused, slow = damaged("toml", 37), damaged("toml", 33), damaged("toml", 50)
    assert len({bad, refused, slow}) == 3

    def give(inputs: Sequence[bytes], _folder: Path) -> None:
        if refused in inputs:
            raise InputError("refused")
        if bad in inputs:
            raise KeyError("escaped")
        while slow in inputs:
            pass

    monkeypatch.setitem(fuzz.FEEDS, "toml", Feed(give, 16, 64))
    monkeypatch.setattr(fuzz, "SECONDS", 0.05)
    found = {one.seed: one for one in executions("toml", 32, 32, tmp_path, guarded=True)}
    assert set(found) == {37, 50}
    assert found[37].data == bad
    assert "KeyError" in found[37].told
    assert "more than 0.05 s" in found[50].told
