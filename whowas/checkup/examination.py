"""All that is looked at, in the order in which one thing stands on the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from whowas.checkup.finding import FAIL, OK, WARN, Finding, guarded, of_error
from whowas.checkup.freshness import flows, history
from whowas.checkup.installation import extras, kernels, versions
from whowas.checkup.places import places
from whowas.checkup.reach import apiserver, brokers, receivers, stream_parts
from whowas.config import load
from whowas.errors import WhowasError
from whowas.settings import StreamConfig


@dataclass(frozen=True)
class Asked:
    """What a person named; "" and () = not said. seconds: for each connection."""

    history: tuple[str, ...] = ()
    config: str = ""
    flows: str = ""
    kubeconfig: str | None = None
    context: str | None = None
    seconds: float = 3.0


def examined(asked: Asked) -> Iterator[Finding]:
    """Look at everything, one finding at a time as it is known."""
    config, told = _configuration(asked.config)
    yield from guarded("installed", "packages", versions)
    yield from extras(config)
    yield from guarded("installed", "kernels", kernels, WARN)
    yield from told
    if config is not None:
        yield from _of_configuration(config, asked)
    yield from guarded("reachable", "apiserver", lambda: apiserver(asked.kubeconfig, asked.context), WARN)
    yield from _fresh(config, asked)


def _configuration(path: str) -> tuple[StreamConfig | None, list[Finding]]:
    if not path:
        return None, []
    try:
        config = load(path)
    except WhowasError as error:
        return None, [of_error("configuration", "whowas.toml", str(error))]
    return config, [Finding("configuration", "whowas.toml", OK, f"'{path}' is valid{_begin_in(path)}")]


def _begin_in(path: str) -> str:
    """Where relative paths of a configuration begin, if it lies elsewhere: streams may be started anywhere."""
    here = os.getcwd()
    same = os.path.realpath(os.path.dirname(path) or ".") == os.path.realpath(here)
    return "" if same else f"; relative paths in it begin in '{here}', as for a whowas stream that is started there"


def _of_configuration(config: StreamConfig, asked: Asked) -> Iterator[Finding]:
    yield from places(config)
    servers = list(brokers(config, asked.seconds))
    yield from servers
    # A client tries for long where nobody answers.
    answers = not servers or any(one.state == OK for one in servers)
    yield from guarded("permitted", "stream", lambda: stream_parts(config, with_broker=answers))
    yield from receivers(config, asked.seconds)


def _fresh(config: StreamConfig | None, asked: Asked) -> Iterator[Finding]:
    paths = asked.history or ((config.history.path,) if config is not None else ())
    folder = asked.flows or (config.parquet.folder if config is not None and config.parquet is not None else "")
    if paths:
        # A replica is made at the first start.
        made_later = config is not None and config.history.topic is not None and not asked.history
        yield from guarded("fresh", "history", lambda: history(paths), WARN if made_later else FAIL)
    if folder:
        yield from guarded("fresh", "flows", lambda: flows(folder, told=bool(asked.flows)))
