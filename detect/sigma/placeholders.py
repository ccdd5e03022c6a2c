"""Puts the values of the site's lists in the place of their names, as Sigma's %name% with |expand."""

from __future__ import annotations

import re
from itertools import product

from detect.model import Site
from detect.sigma.bounds import MOST_VALUES
from detect.sigma.refusals import Refused
from detect.sigma.yaml_documents import Node

_PLACEHOLDER = re.compile(r"%([A-Za-z0-9_.-]+)%")


def expanded(node: Node, site: Site, asked: set[str]) -> list[str]:
    """Return a text with each list's values in the place of its name. asked: gets the names. Raises: Refused."""
    if not isinstance(node.value, str):
        raise Refused("a placeholder is no text", "write '%name%'", node.line)
    parts = _PLACEHOLDER.split(node.value)
    if len(parts) == 1:
        raise Refused(f"'{node.value}' names no list", "write '%name%', or leave out |expand", node.line)
    lists = [(one,) if place % 2 == 0 else _listed(one, site, asked, node) for place, one in enumerate(parts)]
    made = 1
    for one in lists:
        made *= len(one)
    if made > MOST_VALUES:
        raise Refused(f"the placeholders stand for more than {MOST_VALUES:,} values", "shorten the lists", node.line)
    return ["".join(one) for one in product(*lists)]


def _listed(name: str, site: Site, asked: set[str], node: Node) -> tuple[str, ...]:
    asked.add(name)
    if name not in site.lists:
        where = f" of {site.path}" if site.path else ""
        raise Refused(f"the site has no list '{name}'", f"add it to the lists{where}; it may be empty", node.line)
    return tuple(site.lists[name])
