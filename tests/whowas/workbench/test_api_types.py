"""The page's types are those of the server."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

from whowas.workbench import api
from whowas.workbench.app import STATIC


def generator(root: Path) -> ModuleType:
    """Load web/generate.py, which is a script."""
    spec = importlib.util.spec_from_file_location("web_generate", root / "web/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_types_of_the_page_are_up_to_date(root: Path) -> None:
    assert (root / "web/src/api.ts").read_text() == generator(root).typescript(), "run python web/generate.py"


def test_every_type_that_is_named_is_there(root: Path) -> None:
    text = re.sub(r"/\*\*.*?\*/", "", (root / "web/src/api.ts").read_text(), flags=re.S)
    defined = set(re.findall(r"export interface (\w+)", text))
    named = set(re.findall(r"[:<|] ?\(?([A-Z]\w+)", text)) - {"Record", "Blob"}
    assert named <= defined
    assert "unknown" not in re.sub(r"Record<string, unknown>|unknown\[\]\[\]|values: unknown\[\]", "", text)


def test_the_docs_list_every_endpoint() -> None:
    shown = set(re.findall(r"\| `(GET|POST) (/api/\w+)` \|", api.__doc__ or ""))
    assert shown == {(method, path) for path, (method, _, _) in api.ENDPOINTS.items()}


def test_the_page_is_small() -> None:
    """It is fetched with every new tab, and parsed before anything is asked."""
    files = [one for one in STATIC.iterdir() if one.is_file()]
    assert "app.js" in {one.name for one in files}
    assert sum(one.stat().st_size for one in files) < 250_000
