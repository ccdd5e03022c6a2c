"""Why a question has no answer, beside what whowas.errors has."""

from __future__ import annotations

from typing import Any

from whowas.errors import WhowasError


class CancelledError(WhowasError):
    """The one who asked has left, or the time is over."""


class BusyError(WhowasError):
    """Too many questions wait already."""


class NotServedError(WhowasError):
    """Nothing of that kind was given to `whowas serve`."""


class NotFoundError(WhowasError):
    """There is no such flow or finding."""


class OldRevisionError(WhowasError):
    """Somebody else wrote meanwhile. newer: what there is now (api.Noted)."""

    def __init__(self, newer: Any) -> None:
        super().__init__("somebody else wrote about this finding meanwhile; look at it, then write again")
        self.newer = newer
