"""Decides which log a rule was written for."""

from __future__ import annotations

from typing import Any

from detect.sigma.field_mappings import Log, log
from detect.sigma.metadata import text, words
from detect.sigma.refusals import Refused
from detect.sigma.yaml_documents import Node

LOGSOURCE = {"category": "network_flow", "product": "kubernetes"}
TAXONOMY = "whowas"


def at_home(node: Node) -> bool:
    """Say whether a document is written for named flows."""
    return "taxonomy" in node.value and node.value["taxonomy"].value == TAXONOMY


def abroad_log(node: Node, nodes: dict[str, Node]) -> Log:
    """Return which log a rule of another taxonomy is written for."""
    if text(nodes, "taxonomy") not in ("", "sigma"):
        raise Refused(
            f"its taxonomy is '{text(nodes, 'taxonomy')}'", f"use {TAXONOMY} or sigma", nodes["taxonomy"].line
        )
    told = nodes.get("logsource")
    if told is None or not told.is_map():
        raise Refused("there is no logsource", "add one", node.line)
    named = [told.value[key].value if key in told.value else None for key in ("category", "product", "service")]
    found = log(*named)
    if found is None:
        what = " ".join(f"{one}" for one in named if one is not None)
        advice = "add taxonomy: whowas" if named[:2] == list(LOGSOURCE.values()) else "leave it to another tool"
        raise Refused(f"its logsource, {what}, does not tell of flows", advice, told.line)
    return found


def check_taxonomy(nodes: dict[str, Node]) -> None:
    """Refuse a rule whose fields are not the columns. Raises: Refused."""
    named = text(nodes, "taxonomy")
    if named != TAXONOMY:
        line = nodes["taxonomy"].line if "taxonomy" in nodes else 0
        cause = f"its taxonomy is '{named or 'sigma'}'"
        raise Refused(cause, f"write taxonomy: {TAXONOMY} and the columns' names as fields", line)


def check_logsource(node: Node, nodes: dict[str, Node]) -> None:
    """Refuse a rule that is not about named flows. Raises: Refused."""
    if "logsource" not in nodes:
        raise Refused("there is no logsource", "add category: network_flow and product: kubernetes", node.line)
    told = words(nodes["logsource"], (*LOGSOURCE, "service", "definition"), "logsource")
    found: dict[str, Any] = {key: one.value for key, one in told.items() if key != "definition"}
    if found != LOGSOURCE:
        cause = "its logsource is not network_flow of kubernetes"
        raise Refused(cause, "write category: network_flow, product: kubernetes, no service", nodes["logsource"].line)
