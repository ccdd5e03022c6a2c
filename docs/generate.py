"""Writes docs/reference/ and the table of times in docs/formats.md from the code: they cannot differ from it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import click
import finding_page
from click.testing import CliRunner

from whowas.cli import COMMANDS, group
from whowas.flow_times import FLOW_TIMES
from whowas.metrics import METRICS, STREAM_METRICS, Metric
from whowas.settings import (
    Alertmanager,
    Alerts,
    DeadLetters,
    HistorySettings,
    Input,
    Kafka,
    KafkaOutput,
    Naming,
    ParquetOutput,
    Rules,
    Serving,
    Webhook,
)

REFERENCE = Path(__file__).parent / "reference"
SCHEMA_HEAD = """# Columns of a named flow

Made by `make docs` from `whowas/schema.py`; `whowas schema` prints the same.

In Parquet, files lie in `cluster_key=…/event_day=20261120/event_hour=7` (Hive partitions, of `start_time`, UTC).
Days and hours are numbers. `cluster_key` is the cluster's name so that every reader takes it for text and none has to
escape it: `prod` is `prod`, `007` is `_-3007`, `a:b` is `a_-3Ab`; the name itself is the column `cluster`. Each column
has a number for Iceberg (Parquet's `field_id`, [sinks/flows/field_ids.py](../../sinks/flows/field_ids.py)), which never
changes. A file says the version of its columns in its footer, as `whowas.schema`.

Version 2 is this one. In version 1 ports, TCP flags, protocol numbers and VLANs were unsigned (16 and 8 bits),
`cluster` was no column but the name of the folder (`cluster=a%3Ab`, `event_hour=07`), and there were neither numbers
for Iceberg nor a version. whowas reads both, and shows the types of the newest. `whowas compact` leaves files where
they are and gives them these types.

"""
CLI_HEAD = """# Commands

Made by `make docs` from the command line itself.

Exit codes of every command: 0 done; 1 done, but something was unreadable (it is listed); 2 usage or
configuration; 130 stopped by Ctrl-C or SIGTERM (finished files stay valid, nothing half-written is left).
"""
METRICS_HEAD = """# Metrics

Made by `make docs` from `whowas/metrics.py`. Served at `/metrics`, with the process's own
(`process_resident_memory_bytes` and the like). No label is ever an address or a pod.

## The recorder

`whowas watch --listen`. `kind` is a kind of Kubernetes object. received = written + dropped, once the queue is empty.

"""
STREAM_METRICS_HEAD = """
## The stream

`[serving] listen` of `whowas stream`. In records: received = delivered + forgotten + held.

"""
METRICS_TABLE = "| metric | form | labels | meaning |\n|---|---|---|---|\n"
CONFIG_HEAD = """# whowas.toml

Made by `make docs` from `whowas/config.py`. `deploy/whowas.toml` is a file to begin with. A key that is not here is
refused, with the file and the key.
"""
FORMATS = "../formats.md"
TIMES_BEGIN, TIMES_END = "<!-- made by `make docs` from whowas/flow_times.py -->\n", "<!-- end of what is made -->\n"
TIMES_HEAD = "| format | kind of record | `time_basis` | before start | after end | why |\n|---|---|---|---|---|---|\n"
TABLES = {
    "input": Input,
    "kafka": Kafka,
    "history": HistorySettings,
    "naming": Naming,
    "parquet": ParquetOutput,
    "kafka_output": KafkaOutput,
    "rules": Rules,
    "alerts": Alerts,
    "alerts.webhook": Webhook,
    "alerts.alertmanager": Alertmanager,
    "dead_letters": DeadLetters,
    "serving": Serving,
}


def _metrics() -> str:
    return METRICS_HEAD + _metric_table(METRICS) + STREAM_METRICS_HEAD + _metric_table(STREAM_METRICS)


def _metric_table(metrics: Sequence[Metric]) -> str:
    rows = (f"| `{one.name}` | {one.form} | {', '.join(one.labels) or '-'} | {one.meaning} |\n" for one in metrics)
    return METRICS_TABLE + "".join(rows)


def _config() -> str:
    told = [CONFIG_HEAD]
    for name, kind in TABLES.items():
        told.append(f"## [{name}]\n\n{kind.__doc__}\n\n| key | default | meaning |\n|---|---|---|")
        told[-1] += "".join(
            f"\n| `{one.name}` | {_default(one)} | {one.metadata.get('meaning', 'A table, see below.')} |"
            for one in fields(kind)
        )
        told[-1] += "\n"
    return "\n".join(told)


def _default(one: Field[Any]) -> str:
    if one.default is MISSING:
        return "none" if one.default_factory is not MISSING else "must be said"
    return "none" if one.default is None else f"`{json.dumps(one.default)}`"


def _formats() -> str:
    """docs/formats.md with its table of times; all else is written by hand."""
    head, _, rest = (REFERENCE / FORMATS).read_text().partition(TIMES_BEGIN)
    _, _, tail = rest.partition(TIMES_END)
    alike: dict[str, list[str]] = {}
    for form, kinds in FLOW_TIMES.items():
        for kind, one in kinds.items():
            before = "`export_seconds`" if one.before_us is None else _length(one.before_us)
            cells = f"{kind or 'all'} | {one.basis or 'not told'} | {before} | {_length(one.after_us)} | {one.why}"
            alike.setdefault(cells, []).append(f"`{form}`" if form != "captures" else form)
    rows = "".join(f"| {', '.join(forms)} | {cells} |\n" for cells, forms in alike.items())
    return head + TIMES_BEGIN + "\n" + TIMES_HEAD + rows + "\n" + TIMES_END + tail


def _length(us: int) -> str:
    """A length of time as people say it; the microseconds up to the next unit count as that unit."""
    ms = -(-us // 1000)
    return f"{ms / 1000:g} s" if ms >= 1000 else f"{ms} ms" if ms else "0"


def _run(*words: str) -> str:
    result = CliRunner().invoke(group, list(words), prog_name="whowas", terminal_width=100, catch_exceptions=False)
    if result.exit_code:
        raise SystemExit(f"cannot run whowas {' '.join(words)}: {result.output}")
    return result.output


def pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    cli = [CLI_HEAD, f"## whowas\n\n```\n{_run('--help').rstrip()}\n```\n"]
    for name in COMMANDS:
        assert isinstance(group.get_command(click.Context(group), name), click.Command)
        cli.append(f"## whowas {name}\n\n```\n{_run(name, '--help').rstrip()}\n```\n")
    schema = SCHEMA_HEAD + _run("schema", "--markdown")
    told = {"schema.md": schema, "cli.md": "\n".join(cli), "metrics.md": _metrics(), "stream-toml.md": _config()}
    return told | {"findings.md": finding_page.page(), FORMATS: _formats()}


def main() -> None:
    """Write the pages; with --check only say whether they are up to date."""
    stale = [name for name, text in pages().items() if not _same(REFERENCE / name, text)]
    if "--check" in sys.argv:
        sys.exit(f"stale: {', '.join(stale)}; run make docs" if stale else 0)
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)
    print("wrote", ", ".join(pages()))


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    main()
