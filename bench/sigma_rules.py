"""Which rules of the public Sigma repository run on named flows: python bench/sigma_rules.py CHECKOUT [--commit C]

CHECKOUT is a working copy of https://github.com/SigmaHQ/sigma, read and not kept. Of its rules on networks (their
logsource, or the folder they lie in) each is loaded by itself with `foreign=True`; a table of what was loaded, and why
the others were refused, goes to standard output as Markdown.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

import yaml  # noqa: E402 - beside what stands in the folder above

CATEGORIES = ("network_connection", "firewall", "dns", "dns_query", "proxy")
PRODUCTS = ("zeek", "cisco", "fortigate", "fortios", "huawei", "juniper", "paloalto")
FOLDERS = ("rules", "rules-compliance", "rules-emerging-threats", "rules-threat-hunting", "rules-placeholder")
REASONS = (
    (r"its logsource, .*, does not tell of flows", "the log does not tell of flows"),
    (r"the field '(.*)' says less of a flow", "a flow knows less than `{}`"),
    (r"the field '(.*)' says nothing that a flow knows", "a flow does not know `{}`"),
    (r"a word without a field is asked for", "keywords without a field"),
    (r"the site has no list '.*'", "a placeholder: the site's list is to be filled"),
)


def files(checkout: Path) -> Iterator[tuple[str, Path]]:
    """Yield (kind of log, file) of the rules on networks."""
    for folder in FOLDERS:
        for path in sorted((checkout / folder).rglob("*.yml")):
            told: Any = next(iter(yaml.safe_load_all(path.read_text("utf-8"))), None) or {}
            source = told.get("logsource") or {}
            named = [str(source[key]) for key in ("category", "product", "service") if source.get(key)]
            if (
                source.get("category") in CATEGORIES
                or source.get("product") in PRODUCTS
                or source.get("service") == "netflow"
                or "network" in path.relative_to(checkout).parts
            ):
                yield " ".join(named), path


def reason(cause: str) -> str:
    """The kind of a refusal."""
    for shape, name in REASONS:
        if found := re.fullmatch(shape, cause):
            return name.format(*found.groups())
    return cause


def table(checkout: Path) -> str:
    """Markdown."""
    from detect.sigma import load

    told: dict[str, Counter[str]] = {}
    for kind, path in files(checkout):
        found = load([path], strict=False, foreign=True)
        counted = told.setdefault(kind, Counter())
        counted["loaded"] += len(found.ruleset.rules) + len(found.ruleset.correlations)
        # A rule may be refused for several reasons: it is counted under the first.
        first = {(one.path, one.rule): reason(one.cause) for one in reversed(found.refusals)}
        counted.update(first.values())
    lines = ["| logsource | rules | loaded | refused, by reason |", "|---|---:|---:|---|"]
    for kind, counted in sorted(told.items(), key=lambda one: -one[1].total()):
        refused = "; ".join(f"{number} {name}" for name, number in counted.most_common() if name != "loaded" and number)
        lines.append(f"| {kind} | {counted.total()} | {counted['loaded']} | {refused} |")
    whole = sum(told.values(), Counter[str]())
    return "\n".join([*lines, f"| all | {whole.total()} | {whole['loaded']} | {whole.total() - whole['loaded']} |"])


def main() -> None:
    """Read, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--commit", help="what was checked out, where git cannot tell")
    told = parser.parse_args()
    commit = (
        told.commit
        or subprocess.run(
            ["git", "-C", str(told.checkout), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    print(f"SigmaHQ/sigma at {commit}\n\n{table(told.checkout)}")


if __name__ == "__main__":
    main()
