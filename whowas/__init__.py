"""whowas names every flow by the workload that held each address at that moment, and says how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from whowas.pipeline import load_history, replay, who

__all__ = ["__version__", "load_history", "replay", "who"]


def __getattr__(name: str) -> Any:
    """Import the pipeline when it is first used: `whowas --help` must not wait for Arrow and numba."""
    if name in ("load_history", "replay", "who"):
        from whowas import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'whowas' has no attribute '{name}'")
