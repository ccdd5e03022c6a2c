"""Files to begin with: whowas.toml from the settings themselves, site.toml from the lists as delivered, and examples.

In each, `##` explains, and what stands behind a single `#` is how it is when nothing is said, or an example.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import NamedTuple

from detect.site import DELIVERED
from whowas.errors import OutputError
from whowas.templates.settings_text import settings_text

HERE = Path(__file__).parent
SITE_HEAD = """## What this place says of itself: the lists behind the rules' placeholders (%name%).
## Those below are as delivered. Take the # away and change one: it stands in place of the delivered list.
## Under [add] stands what comes beside a list. docs/how-to/rules.md

[add]
# sensitive_namespaces = ["payroll"]

[lists]
"""


class Written(NamedTuple):
    """Files below the folder: those that were written, and those that were there and stay as they are."""

    new: list[str]
    kept: list[str]


def templates() -> dict[str, str]:
    """Return the text of each file by its path below the folder."""
    rule = (HERE / "example.yml").read_text(encoding="utf-8")
    return {
        "whowas.toml": settings_text(),
        "site.toml": _site(),
        "networks.toml": (HERE / "networks.toml").read_text(encoding="utf-8"),
        "silences.toml": (HERE / "silences.toml").read_text(encoding="utf-8"),
        # Findings are known by their rule's id: no two places may share one.
        "rules/example.yml": rule.replace("RULE_ID", str(uuid.uuid4())),
    }


def _site() -> str:
    """The delivered lists, each a comment: what changes there changes here."""
    _, _, lists = DELIVERED.read_text(encoding="utf-8").partition("\n[lists]\n")
    lines = [_as_comment(line) for line in lists.split("\n")]
    return SITE_HEAD + "\n".join(lines).rstrip("\n") + "\n"


def _as_comment(line: str) -> str:
    if not line.strip():
        return line
    return f"#{line}" if line.startswith("#") else f"# {line}"


def write_templates(folder: str) -> Written:
    """Write what is not there; nothing is overwritten, a link neither. Raises: OutputError."""
    new, kept = [], []
    for name, text in templates().items():
        path = os.path.join(folder, name)
        try:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            with open(path, "x", encoding="utf-8") as out:
                out.write(text)
            new.append(name)
        except FileExistsError:
            kept.append(name)
        except OSError as error:
            raise OutputError(f"cannot write '{path}': {error.strerror}; name another folder") from error
    return Written(new, kept)
