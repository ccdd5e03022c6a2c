"""`whowas.toml` read into whowas.settings. Unknown words are refused, with the file."""

from __future__ import annotations

import difflib
import os
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from whowas.errors import ConfigError
from whowas.kafka import Value
from whowas.settings import Alerts, HistorySettings, Input, Kafka, Naming, ParquetOutput, Rules, Serving, StreamConfig
from whowas.toml_files import read_toml


def load(path: str) -> StreamConfig:
    """Read and check a configuration file. Raises: ConfigError naming file and key."""
    config: StreamConfig = _Reader(path).table(StreamConfig, _tables(path), "", {"path": path})
    _check(config)
    return config


def load_kafka(path: str) -> Kafka:
    """Read how Kafka is reached from a configuration file, whatever else stands in it. Raises: ConfigError."""
    kafka: Kafka = _Reader(path).table(Kafka, _tables(path).get("kafka", {}), "kafka")
    return kafka


def _tables(path: str) -> dict[str, Any]:
    return read_toml(path, "configuration", "see deploy/whowas.toml")


def of_folder(
    folder: str, history: HistorySettings, out: str, told: Input, naming: Naming, listen: str,
    judged: tuple[Rules, Alerts] | None = None,
) -> StreamConfig:  # fmt: skip
    """Return the configuration of `whowas stream --files`: a folder in, Parquet out. judged: by what, told where."""
    config = StreamConfig(
        path="",
        input=replace(told, folder=folder, group="files"),
        history=history,
        naming=naming,
        parquet=ParquetOutput(out),
        serving=Serving(listen),
    )
    return config if judged is None else replace(config, rules=judged[0], alerts=judged[1])


def _check(config: StreamConfig) -> None:
    """Refuse what contradicts itself."""

    def refuse(key: str, why: str) -> ConfigError:
        return ConfigError(f"cannot use '{config.path}': {key}: {why}")

    if not config.input.topics and not config.input.folder:
        raise refuse("input.topics", "there is none; name the topics to read, or a folder")
    if config.input.topics and config.input.folder:
        raise refuse("input", "topics and folder are both said; say one")
    if config.input.folder and config.parquet is None:
        raise refuse(
            "parquet", "a folder is read into Parquet files, which keep what was read; write a table [parquet]"
        )
    if config.kafka_output is not None and config.kafka_output.delivery == "transactions" and config.input.folder:
        raise refuse("kafka_output.delivery", "transactions need [input] topics; say at-least-once")
    if config.parquet is None and config.kafka_output is None:
        raise refuse("parquet, kafka_output", "there is no output; write a table [parquet] or [kafka_output]")
    if config.dead_letters.topic and config.dead_letters.folder:
        raise refuse("dead_letters", "topic and folder are both said; say one")
    out = config.kafka_output
    if out is not None and out.topic in config.input.topics:
        raise refuse("kafka_output.topic", f"'{out.topic}' is read too; choose another")
    _check_rules(config, refuse)
    if config.naming.wait == "provisional" and (out is None or out.delivery == "transactions"):
        raise refuse("naming.wait", 'provisional needs [kafka_output] with delivery = "at-least-once"')
    for key, number in (
        ("naming.held_rows", config.naming.held_rows),
        ("naming.max_wait_seconds", config.naming.max_wait_seconds),
        ("parquet.flush_seconds", config.parquet.flush_seconds if config.parquet else 1),
        ("parquet.flush_rows", config.parquet.flush_rows if config.parquet else 1),
    ):
        if number <= 0:
            raise refuse(key, f"{number} is not above 0")


def _check_rules(config: StreamConfig, refuse: Callable[[str, str], ConfigError]) -> None:
    """Refuse rules whose findings go nowhere, and places for findings that nothing makes."""
    alerts = config.alerts
    if config.rules is None and alerts is not None:
        raise refuse("alerts", "there are no rules that could find something; write a table [rules]")
    if config.rules is None:
        return
    if alerts is None or not (alerts.topic or alerts.file or alerts.webhook or alerts.alertmanager):
        raise refuse("alerts", "findings go nowhere; write a table [alerts] with topic, file, webhook or alertmanager")
    if alerts.topic and alerts.topic in config.input.topics:
        raise refuse("alerts.topic", f"'{alerts.topic}' is read too; choose another")
    if alerts.topic and not config.kafka.options:
        raise refuse("alerts.topic", "Kafka is not configured; write a table [kafka.options]")
    if alerts.webhook is not None and bool(alerts.webhook.url) == bool(alerts.webhook.url_file):
        raise refuse("alerts.webhook", "say either url or url_file")
    if config.rules.alerts_per_minute is not None and config.rules.alerts_per_minute < 1:
        raise refuse("rules.alerts_per_minute", f"{config.rules.alerts_per_minute} is below 1")
    if config.rules.lateness_seconds < 0:
        raise refuse("rules.lateness_seconds", f"{config.rules.lateness_seconds} is below 0")


class _Reader:
    """Turns tables of a TOML file into dataclasses."""

    def __init__(self, path: str) -> None:
        self._path = path

    def refuse(self, key: str, why: str) -> ConfigError:
        return ConfigError(f"cannot use '{self._path}': {key}: {why}")

    def table(self, kind: Any, told: Any, at: str, given: Mapping[str, Any] | None = None) -> Any:
        """Read one table. `at`: its name, for messages."""
        if not isinstance(told, dict):
            raise self.refuse(at, "it is no table; write [" + at + "]")
        known = {one.name: one for one in fields(kind) if not one.metadata.get("hidden")}
        for name in told:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
                raise self.refuse(_joined(at, name), f"unknown key; {hint}")
        types = typing.get_type_hints(kind)
        found = dict(given or {})
        for name, one in known.items():
            if name in told:
                found[name] = self.value(types[name], told[name], _joined(at, name))
            elif _needed(one):
                raise self.refuse(_joined(at, name), "it is missing")
        return kind(**found)

    def value(self, kind: Any, told: Any, at: str) -> Any:
        """Read one value of the type that the dataclass declares."""
        kinds = [one for one in get_args(kind) if one is not NoneType] if isinstance(kind, UnionType) else [kind]
        kind = kinds[0]
        if is_dataclass(kind):
            return self.table(kind, told, at)
        if get_origin(kind) is Literal:
            if told not in get_args(kind):
                raise self.refuse(at, f"{told!r} is an unknown word; say one of {', '.join(get_args(kind))}")
            return told
        if get_origin(kind) is tuple:
            if not isinstance(told, list):
                raise self.refuse(at, f"{told!r} is no list")
            return tuple(self.value(get_args(kind)[0], one, at) for one in told)
        if get_origin(kind) is dict:
            return self._options(told, at)
        if kind is float and isinstance(told, int) and not isinstance(told, bool):
            return float(told)
        if type(told) is not kind:
            raise self.refuse(at, f"{told!r} is not {_ARTICLE[kind]}")
        return told

    def _options(self, told: Any, at: str) -> dict[str, Value]:
        """Options as a client takes them: tables of tables are dotted names, secrets are fetched."""
        if not isinstance(told, dict):
            raise self.refuse(at, "it is no table; write [" + at + "]")
        found: dict[str, Value] = {}
        for name, value in told.items():
            if isinstance(value, dict) and set(value) in ({"env"}, {"file"}):
                found[name] = self._secret(value, f"{at}.{name}")
            elif isinstance(value, dict):
                found |= {f"{name}.{rest}": one for rest, one in self._options(value, f"{at}.{name}").items()}
            elif isinstance(value, (str, int, float, bool)):
                found[name] = value
            else:
                raise self.refuse(f"{at}.{name}", f"{value!r} is no text, number or truth")
        return found

    def _secret(self, told: dict[str, Any], at: str) -> str:
        if "env" in told:
            value = os.environ.get(str(told["env"]))
            if value is None:
                raise self.refuse(at, f"the environment has no {told['env']}")
            return value
        try:
            with open(str(told["file"]), encoding="utf-8") as handle:
                return handle.read().strip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise self.refuse(at, f"cannot read '{told['file']}': {error}") from error


_ARTICLE: dict[Any, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def _joined(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _needed(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING
