"""Builds the outlets for alerts that a configuration names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from detect.model import LEVELS, RuleSet
from detect.views import alertmanager, ecs, ocsf
from detect.views.remediation import DataLocations
from sinks.alerts.alertmanager import Alertmanager as AlertmanagerSink
from sinks.alerts.dead_letters import RefusedAlerts
from sinks.alerts.http_client import Secret, Target
from sinks.alerts.jsonl import FindingsJsonl
from sinks.alerts.kafka import AlertTopics
from sinks.alerts.webhook import Webhook as WebhookSink
from whowas.kafka import Value
from whowas.settings import Alerts, StreamConfig, Webhook
from whowas.streaming.alert_delivery import Outlet


def outlets(config: StreamConfig, ruleset: RuleSet) -> list[Outlet]:
    """Return every place for alerts. What one refuses for good is kept beside the state of the rules."""
    assert config.rules is not None
    assert config.alerts is not None
    places = DataLocations(
        config.history.path, config.parquet.folder if config.parquet is not None else DataLocations().flows
    )
    return list(_outlets(config, config.alerts, config.rules.state, places, ruleset))


def _outlets(
    config: StreamConfig, told: Alerts, state: str, places: DataLocations, ruleset: RuleSet
) -> Iterator[Outlet]:
    views = {"ocsf": partial(ocsf.view, places=places), "ecs": partial(ecs.view, places=places)}
    if told.topic is not None:
        topics = AlertTopics(
            config.kafka.client, config.kafka.options, told.topic, _refused(state, "topic"), *_levels(told, ruleset)
        )
        yield Outlet("topic", topics, views[told.view], told.least)
    if told.file is not None:
        yield Outlet("file", FindingsJsonl(told.file), views[told.view], told.least)
    if told.webhook is not None:
        hook = WebhookSink(_place(told.webhook), _refused(state, "webhook"))
        yield Outlet("webhook", hook, views[told.webhook.view], told.webhook.least)
    if told.alertmanager is not None:
        pager = AlertmanagerSink(Target(Secret(told.alertmanager.url)), _refused(state, "alertmanager"))
        yield Outlet("alertmanager", pager, partial(alertmanager.view, places=places), told.alertmanager.least)


def _levels(told: Alerts, ruleset: RuleSet) -> tuple[set[str], set[str]]:
    """Which levels rules have that are wanted, and which topics they name."""
    infos = [*(one.info for one in ruleset.rules), *(one.info for one in ruleset.correlations)]
    wanted = [one for one in infos if LEVELS.index(one.level) >= LEVELS.index(told.least)]
    return {one.level for one in wanted}, {one.topic for one in wanted if one.topic is not None}


def _place(told: Webhook) -> Target:
    url = Secret(file=told.url_file) if told.url_file is not None else Secret(told.url or "")
    return Target(url, _secrets(told.headers))


def _secrets(headers: Mapping[str, Value]) -> dict[str, Secret]:
    return {name: Secret(str(value)) for name, value in headers.items()}


def _refused(state: str, outlet: str) -> RefusedAlerts:
    return RefusedAlerts(Path(f"{state}.{outlet}.refused.jsonl"))
