"""whowas names every flow by the workload that held each address at that moment, and says how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from whowas.annotating.frames import annotate
    from whowas.asking import load_history, who
    from whowas.pipeline import replay

__all__ = ["__version__", "annotate", "load_history", "replay", "who"]


def __getattr__(name: str) -> Any:
    """Import what is first used: `whowas --help` must not wait for Arrow and numba."""
    if name in ("load_history", "who"):
        from whowas import asking

        return getattr(asking, name)
    if name == "annotate":
        from whowas.annotating.frames import annotate

        return annotate
    if name == "replay":
        from whowas.pipeline import replay

        return replay
    raise AttributeError(f"module 'whowas' has no attribute '{name}'")
