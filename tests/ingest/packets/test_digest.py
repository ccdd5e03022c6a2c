"""Digests against hashlib."""

from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.columns.sha1 import sha1_rows


@given(st.integers(0, 200), st.integers(1, 4), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_sha1_is_that_of_hashlib(size: int, number: int, rolled: object) -> None:
    messages = np.frombuffer(rolled.randbytes(size * number), dtype=np.uint8).reshape(number, size)  # type: ignore[attr-defined]
    digests = sha1_rows(messages)
    assert [row.tobytes() for row in digests] == [hashlib.sha1(row.tobytes()).digest() for row in messages]
