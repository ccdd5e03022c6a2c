"""What stands outside the packages (bench, docs, samples) imports names that are there; no other test runs it all."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
OURS = ("whowas", "ingest", "enrich", "detect", "sinks", "bench", "support")
FILES = [path for folder in ("bench", "docs", "samples") for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each (module, name) of ours, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OURS:
            for name in node.names:
                yield node.module, name.name


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_imported_name_is_there(path: Path) -> None:
    for module, name in imported(path):
        found = importlib.import_module(module)
        assert hasattr(found, name) or _is_module(f"{module}.{name}"), f"{module} has no '{name}'"
