"""whowas names every flow by the workload that held each address at that moment, and says how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whowas.version import __version__

if TYPE_CHECKING:
    from whowas.annotation.frames import annotate
    from whowas.batch.replay import replay
    from whowas.history.queries import load_history, who

__all__ = ["__version__", "annotate", "load_history", "replay", "who"]


def __getattr__(name: str) -> Any:
    """Import what is first used: `whowas --help` must not wait for Arrow and numba."""
    if name in ("load_history", "who"):
        from whowas.history import queries

        return getattr(queries, name)
    if name == "annotate":
        from whowas.annotation.frames import annotate

        return annotate
    if name == "replay":
        from whowas.batch.replay import replay

        return replay
    raise AttributeError(f"module 'whowas' has no attribute '{name}'")


def __dir__() -> list[str]:
    """Return what a program may use, loaded or not, and what every module has."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__") and name.endswith("__"))})
