"""What the wheel puts into a user's site-packages: five names, and nothing beside them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

from support.needs import need

NAMES = {"whowas", "ingest", "enrich", "detect", "sinks"}


def test_the_wheel_holds_the_five_names_that_readme_says(root: Path, tmp_path: Path) -> None:
    """docs/decisions/0014-top-level-names.md: a sixth name is a decision, not an accident."""
    need(find_spec("hatchling"), "hatchling builds the wheel: pip install -r requirements/build.txt")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = archive.namelist()
    tops = {name.split("/")[0] for name in held}
    assert {name for name in tops if not name.endswith(".dist-info")} == NAMES
    page = {"index.html", "app.js", "app.css", "layout.js", "licenses.txt"}
    assert {f"whowas/workbench/static/{one}" for one in page} <= set(held)
    section = (root / "README.md").read_text().split("## In the wheel\n")[1].split("\n## ")[0]
    assert all(f"`{name}`" in section for name in NAMES)
