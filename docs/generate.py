"""Writes docs/reference/ from the schema and the command line, so that they cannot differ from the truth."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click.testing import CliRunner

from whowas.cli import COMMANDS, group
from whowas.metrics import METRICS

REFERENCE = Path(__file__).parent / "reference"
SCHEMA_HEAD = """# Columns of a named flow

Made by `make docs` from `whowas/schema.py`; `whowas schema` prints the same. In Parquet, `cluster` is a
folder name (Hive partition), with `event_day` and `event_hour` (of `start_time`, UTC) beside it.

"""
CLI_HEAD = """# Commands

Made by `make docs` from the command line itself.

Exit codes of every command: 0 done; 1 done, but something was unreadable (it is listed); 2 usage or
configuration; 130 stopped by Ctrl-C or SIGTERM (finished files stay valid, nothing half-written is left).
"""
METRICS_HEAD = """# Metrics of the recorder

Made by `make docs` from `whowas/metrics.py`. `whowas watch` serves them at `/metrics` (`--listen`), with the process's
own (`process_resident_memory_bytes` and the like). `kind` is a kind of Kubernetes object; no label is ever an address
or a pod. received = written + dropped, once the queue is empty.

| metric | form | labels | meaning |
|---|---|---|---|
"""


def _metrics() -> str:
    rows = (f"| `{one.name}` | {one.form} | {', '.join(one.labels) or '-'} | {one.meaning} |\n" for one in METRICS)
    return METRICS_HEAD + "".join(rows)


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
    return {"schema.md": schema, "cli.md": "\n".join(cli), "metrics.md": _metrics()}


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
