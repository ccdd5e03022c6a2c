"""What the docs show is run: README's commands, the how-to pages' commands, the notebook, the reference."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

WHOWAS = Path(sys.executable).with_name("whowas")
PAGES = (
    "README.md", "docs/how-to/replay.md", "docs/how-to/who.md", "docs/how-to/annotate.md", "docs/how-to/query.md",
    "docs/how-to/flow-logs.md", "docs/how-to/report.md", "samples/README.md",
)  # fmt: skip
# Commands that need what a test has not: a cluster, another host, a file of the reader's.
ELSEWHERE = ("kubectl", "ssh", "git ", "source ", "YOUR", "cluster.jsonl", "python", "pip", "make ")


def commands(page: Path) -> list[str]:
    """Every whowas command in the page's code blocks, continued lines joined."""
    found = []
    for block in re.findall(r"^```(?:console|bash|sh)?\n(.*?)^```", page.read_text(), re.M | re.S):
        text = re.sub(r"\\\n\s*", "", block)
        open_quote = ""
        for line in text.splitlines():
            line = open_quote + line.removeprefix("$ ")
            open_quote = line + "\n" if line.count('"') % 2 else ""
            if line.startswith("whowas ") and not open_quote and not any(word in line for word in ELSEWHERE):
                found.append(re.split(r"\s{2,}#", line)[0])
    return found


# A page of which each step is looked at.
ELSEWHERE_RUN = {"docs/how-to/rules.md", "docs/how-to/policy.md"}  # test_rules_page.py, test_policy_page.py


def pages(root: Path) -> list[Path]:
    return [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("docs/**/*.ipynb"), root / "samples/README.md"]


def test_every_file_of_the_samples_that_a_page_names_is_there(root: Path) -> None:
    named = {
        (page.relative_to(root).as_posix(), path)
        for page in pages(root)
        if page.name != "CHANGELOG.md"
        for path in re.findall(r"(?<![\w./-])samples/[\w./*-]*[\w*]", page.read_text())
    }
    assert len(named) > 20
    assert {one for one in named if not list(root.glob(one[1]))} == set()


def test_every_page_that_shows_a_command_on_samples_is_run(root: Path) -> None:
    shown = {
        page.relative_to(root).as_posix()
        for page in pages(root)
        if page.suffix == ".md" and any("samples/" in line for line in commands(page))
    }
    assert shown - {"docs/reference/cli.md"} <= {*PAGES, *ELSEWHERE_RUN}


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run(page: str, root: Path, tmp_path: Path) -> None:
    """In order, in a folder that sees the samples; `named` and the like are made there."""
    (tmp_path / "samples").symlink_to(root / "samples")
    found = commands(root / page)
    assert found or page == "docs/how-to/who.md", f"{page} shows no command"
    if "--flows named" in "".join(found) and not any(" replay " in one for one in found):
        found.insert(0, "whowas replay samples/overlay/node1-bridge.pcap "
                        "--history samples/overlay/history.jsonl.gz --out named")  # fmt: skip
    for line in found:
        words = shlex.split(line)
        done = subprocess.run([str(WHOWAS), *words[1:]], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        assert done.stdout, line


def test_every_command_starts_its_help_with_an_example_that_works(root: Path, tmp_path: Path) -> None:
    (tmp_path / "samples").symlink_to(root / "samples")
    from whowas.cli import COMMANDS

    # A cluster is in tests/whowas/recorder, a broker in tests/whowas/streaming, a page in tests/whowas/workbench; the
    # pages' commands run there.
    for name in (one for one in COMMANDS if one not in ("watch", "stream", "serve")):
        text = subprocess.run([str(WHOWAS), name, "--help"], capture_output=True, text=True, check=True).stdout
        example = re.search(r"Example:\n((?:    +.*\n)+)", text)
        assert example, f"{name} shows no example"
        for line in re.sub(r"\\\n\s*", "", example.group(1)).strip().splitlines():
            words = shlex.split(line.split(" >>")[0])[1:]
            done = subprocess.run([str(WHOWAS), *words], cwd=tmp_path, capture_output=True, text=True, env=os.environ)
            assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_the_reference_says_what_is_true(root: Path) -> None:
    done = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_notebook_runs(root: Path) -> None:
    notebook = nbformat.read(root / "docs/how-to/python.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(root)}}).execute()
    last = notebook.cells[-1].outputs[-1]["data"]["text/plain"]
    assert re.search(r"exact|likely", last), last


def test_links_between_pages_lead_somewhere(root: Path) -> None:
    for page in [*root.glob("*.md"), *root.glob("docs/**/*.md"), root / "samples/README.md"]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.relative_to(root)} links to {link}"


def test_readme_is_short(root: Path) -> None:
    assert len((root / "README.md").read_text().splitlines()) <= 120


def test_stores_have_one_suffix(root: Path) -> None:
    """A reader who meets two takes them for two things."""
    places = [*pages(root), *root.glob("whowas/**/*.py"), *root.glob("detect/**/*.py"), *root.glob("deploy/**/*")]
    found = {
        f"{place.relative_to(root)}: {name}"
        for place in places
        if place.is_file() and "reference" not in place.parts
        for name in re.findall(r"(?<![\w.])[a-z]+\.whowas\b(?!-)", place.read_text(errors="replace"))
    }
    assert found == set()
