"""Alerts to whoever takes JSON by HTTP POST: one object a request, or an array of several."""

from __future__ import annotations

from collections.abc import Sequence

from sinks.alerts.dead_letters import RefusedAlerts
from sinks.alerts.http_client import Post, Target
from sinks.alerts.http_delivery import PostedAlerts
from whowas.stages import Alert


class Webhook(PostedAlerts):
    """Posts to a place; what it refuses is kept. together: more than 1 sends arrays of up to so many."""

    def __init__(self, place: Target, refused: RefusedAlerts, together: int = 1) -> None:
        super().__init__(Post(place), _array if together > 1 else _object, refused, together)


def _object(alerts: Sequence[Alert]) -> bytes:
    return alerts[0].data()


def _array(alerts: Sequence[Alert]) -> bytes:
    return b"[" + b",".join(one.data() for one in alerts) + b"]"
