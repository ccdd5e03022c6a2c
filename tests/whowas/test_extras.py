"""Lines that install what is optional work for this installation, and name what pyproject.toml has."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

from whowas import extras
from whowas.errors import MissingExtra
from whowas.extras import EXTRAS, install_line

NAMED = re.compile(r"(?:whowas|\.)\[([\w,]+)\]")


def declared(root: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = tomllib.loads((root / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    return found


def test_every_extra_that_is_named_anywhere_exists(root: Path) -> None:
    known = declared(root)
    assert set(EXTRAS) == set(known)
    folders = ["docs", "deploy", "whowas", "ingest", "enrich", "sinks", "detect"]
    files = [
        path for folder in folders for path in (root / folder).rglob("*") if path.suffix in (".md", ".py", ".toml")
    ]
    named = {path: NAMED.findall(path.read_text()) for path in [*files, root / "README.md", root / "CONTRIBUTING.md"]}
    told = {(str(path), one) for path, found in named.items() for several in found for one in several.split(",")}
    assert len(told) >= 4
    assert [one for one in told if one[1] not in known] == []


def test_every_page_that_says_a_line_says_that_of_a_checkout_too(root: Path) -> None:
    for path in (root / "docs" / "how-to").rglob("*.md"):
        for several in re.findall(r"pip install 'whowas\[([\w,]+)\]'", path.read_text()):
            assert f"pip install -e '.[{several}]'" in path.read_text(), path


def test_every_extra_raised_in_code_exists(root: Path) -> None:
    named = {
        one
        for folder in ("whowas", "ingest", "sinks", "detect")
        for path in (root / folder).rglob("*.py")
        for one in re.findall(r"MissingExtra\([^\n]*, \"(\w+)\"\)", path.read_text())
    }
    assert named == {"kafka", "confluent", "rules", "watch", "serve", "plot", "delta"}
    assert named <= set(declared(root))


def test_each_extra_is_known_by_a_module_of_its_own_packages(root: Path) -> None:
    told = {extra: " ".join(needed).replace("-", "_") for extra, needed in declared(root).items()}
    for extra, (module, _) in EXTRAS.items():
        assert find_spec(module) is None or module in told[extra].replace("kafka_python", "kafka") or extra == "rules"


def test_in_a_checkout_the_line_installs_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    monkeypatch.setattr(extras, "CHECKOUT", tmp_path / "a b")
    (tmp_path / "a b" / "pyproject.toml").touch()
    assert install_line("kafka").endswith(f" install -e '{tmp_path}/a b[kafka]'")
    monkeypatch.chdir(tmp_path / "a b")
    assert install_line("kafka").endswith(" install -e '.[kafka]'")
    assert "[watch]'" in str(MissingExtra("kubernetes", "watch"))


@pytest.mark.parametrize(
    ("told", "line"),
    [("", "'whowas[kafka]'"), (json.dumps({"url": "file:///w.whl"}), "'whowas[kafka] @ file:///w.whl'")],
)
def test_else_it_is_taken_from_where_it_came(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str, line: str
) -> None:
    class Installed:
        def read_text(self, name: str) -> str:
            return told if name == "direct_url.json" else ""

    monkeypatch.setattr(extras, "CHECKOUT", tmp_path)
    monkeypatch.setattr(metadata, "distribution", lambda name: Installed())
    assert install_line("kafka").endswith(f" install {line}")


def test_the_pip_is_that_of_this_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    if find_spec("pip") is not None:
        assert install_line("kafka").startswith(f"{sys.executable} -m pip install ")
