"""What the pages for contributors say of the tree is true: paths, names in files, who may import whom."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

PAGES = ("docs/life-of-a-flow.md", "docs/architecture.md")
PACKAGES = ("whowas", "ingest", "enrich", "detect", "sinks")
TOPS = (*PACKAGES, "docs", "tests", "samples", "bench")


def contracts(root: Path) -> list[dict[str, Any]]:
    """The contracts that import-linter holds."""
    found: list[dict[str, Any]] = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    return found


def block(root: Path, kind: str) -> str:
    """The one fenced block of a kind in architecture.md."""
    (text,) = re.findall(rf"^```{kind}\n(.*?)^```", (root / "docs/architecture.md").read_text(), re.M | re.S)
    return str(text)


def layers_on_the_page(root: Path) -> dict[str, list[set[str]]]:
    """Name of a contract -> its layers. A line that begins with | goes on with the layer before it."""
    found: dict[str, list[set[str]]] = {}
    for part in block(root, "layers").strip().split("\n\n"):
        name, *lines = part.splitlines()
        layers = re.sub(r"\n\s+\|", " |", "\n".join(lines)).splitlines()
        found[name] = [{module.strip() for module in line.split("|")} for line in layers]
    return found


@pytest.mark.parametrize("page", PAGES)
def test_each_path_that_a_page_names_is_there(page: str, root: Path) -> None:
    paths = [path for path in re.findall(r"`([\w./-]+)`", (root / page).read_text()) if path.split("/")[0] in TOPS]
    named = [path for path in paths if "/" in path]
    assert len(named) > 20
    missing = [path for path in named if not (root / path).exists()]
    assert not missing


def test_each_function_of_life_of_a_flow_is_in_the_tree(root: Path) -> None:
    """`read_event`, `Matcher.match`: a function that is renamed is renamed on the page."""
    defined: set[str] = set()
    for path in (path for package in PACKAGES for path in (root / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                functions = [child.name for child in node.body if isinstance(child, ast.FunctionDef)]
                defined |= {node.name, *(f"{node.name}.{name}" for name in functions)}
            elif isinstance(node, ast.FunctionDef):
                defined.add(node.name)
    text = (root / "docs/life-of-a-flow.md").read_text()
    names = re.findall(r"`((?:[A-Z]\w+|[a-z]\w*)(?:\.[a-z_]\w*)?)`(?= in `|\n? ?\(`)", text)
    assert len(names) > 30
    assert not sorted({name for name in names if name not in defined})


def test_pages_for_contributors_have_short_lines(root: Path) -> None:
    assert not [line for line in (root / PAGES[0]).read_text().splitlines() if len(line) > 120]


def test_architecture_shows_the_layers_that_are_held(root: Path) -> None:
    held = {
        one["name"]: [{module.strip() for module in layer.split("|")} for layer in one["layers"]]
        for one in contracts(root)
        if one["type"] == "layers"
    }
    assert layers_on_the_page(root) == held


def test_architecture_shows_who_alone_knows_a_library(root: Path) -> None:
    """A room is forbidden or allowed: what the contract leaves out of a package's rooms is what the page shows."""
    shown = {}
    for line in block(root, "clients").splitlines():
        libraries, rooms = line.split(":")
        shown[frozenset(libraries.replace(" ", "").split(","))] = {room.strip() for room in rooms.split(",")}
    held = {
        frozenset(one["forbidden_modules"]): set(one["source_modules"])
        for one in contracts(root)
        if one["type"] == "forbidden"
    }
    assert shown.keys() == held.keys()
    for libraries, allowed in shown.items():
        for room in allowed:
            assert not [source for source in held[libraries] if room == source or room.startswith(source + ".")], room
        free = rooms_of(root) - {room for room in rooms_of(root) if covered(room, held[libraries])}
        assert free <= {ancestor for room in allowed for ancestor in (room, room.rpartition(".")[0])}, libraries


def covered(room: str, sources: set[str]) -> bool:
    """Say whether a contract forbids a room, by itself or by its package."""
    return any(room == source or room.startswith(source + ".") for source in sources)


def rooms_of(root: Path) -> set[str]:
    """The folders with code, two deep."""
    return {f"{package}.{path.parent.name}" for package in PACKAGES for path in (root / package).glob("*/__init__.py")}


def test_architecture_has_a_row_for_every_room(root: Path) -> None:
    text = (root / "docs/architecture.md").read_text()
    assert not sorted(room for room in rooms_of(root) if f"`{room.replace('.', '/')}`" not in text)
