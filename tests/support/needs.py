"""What a test needs of the machine: skipped at home with the reason, a failure in CI."""

from __future__ import annotations

import os

import pytest


def need(condition: object, reason: str) -> None:
    """Skip at home with the reason; in CI a missing tool is a failure."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have this: {reason}")
    pytest.skip(reason)
