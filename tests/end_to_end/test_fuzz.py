"""Every reader of files is given damaged inputs: nothing but a WhowasError comes out of any. `make soak` goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.fuzz import FEEDS, executions

EACH = int(os.environ.get("WHOWAS_FUZZ", "250"))
SEED = int(os.environ.get("WHOWAS_FUZZ_SEED", "1"))


@pytest.mark.parametrize("reader", sorted(FEEDS))
def test_no_error_of_a_parser_escapes_its_reader(reader: str, tmp_path: Path) -> None:
    found = [f"seed {one.seed}: {one.told}" for one in executions(reader, SEED, EACH, tmp_path)]
    assert not found, "\n".join(found)
