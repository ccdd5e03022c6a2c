"""Alerts to Prometheus Alertmanager (API v2), for paging. Their bodies are made by detect.views.alertmanager.view."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from sinks.alerts.dead_letters import RefusedAlerts
from sinks.alerts.http_client import Post, Target
from sinks.alerts.http_delivery import PostedAlerts
from whowas.stages import Alert
from whowas.timestamps import rfc3339

TOGETHER = 100
HOUR = 3600.0


class Alertmanager(PostedAlerts):
    """Posts to `PLACE/api/v2/alerts`. An alert ends `firing_seconds` after it was sent last.

    A finding has no end that anybody could tell; without one Alertmanager would end it after its own resolve_timeout.
    """

    def __init__(self, place: Target, refused: RefusedAlerts, firing_seconds: float = HOUR) -> None:
        super().__init__(Post(place, "/api/v2/alerts"), self._array, refused, TOGETHER)
        self._firing_us = int(firing_seconds * 1_000_000)

    def _array(self, alerts: Sequence[Alert]) -> bytes:
        end = {"endsAt": rfc3339(time.time_ns() // 1000 + self._firing_us)}
        return json.dumps([dict(one.body) | end for one in alerts]).encode()
