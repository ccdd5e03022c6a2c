"""Matches label and field selectors against the known objects."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

SET = re.compile(r"\s*(!?)([A-Za-z0-9./_-]+)\s*(?:(=|==|!=)\s*([^,]*?)|(in|notin)\s*\(([^)]*)\))?\s*(?:,|$)")
FIELDS = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "spec.nodeName": ("spec", "nodeName"),
    "status.phase": ("status", "phase"),
    "status.podIP": ("status", "podIP"),
}


def selects(uri: str, thing: dict[str, Any]) -> bool:
    """Say whether a request's selectors certainly meant this object; what cannot be understood meant nothing.

    Source: Kubernetes, Labels and Selectors; Field Selectors.
    """
    try:
        asked = parse_qs(urlsplit(uri).query, keep_blank_values=True, max_num_fields=64)
    except ValueError:
        return False
    labels = (thing.get("metadata") or {}).get("labels")
    labels = labels if isinstance(labels, dict) else {}
    return all(_labels(one, labels) for one in asked.get("labelSelector", ())) and all(
        _fields(one, thing) for one in asked.get("fieldSelector", ())
    )


def _labels(selector: str, labels: dict[str, Any]) -> bool:
    """A comma separates what all has to hold, outside of brackets."""
    at = 0
    while at < len(selector):
        found = SET.match(selector, at)
        if found is None or found.end() == at:
            return False
        at = found.end()
        negated, name, sign, value, among, values = found.groups()
        wanted = {one.strip() for one in (values if among else value or "").split(",")}
        here = name in labels and str(labels[name]) in wanted if sign or among else name in labels
        if here == (bool(negated) or sign == "!=" or among == "notin"):
            return False
    return True


def _fields(selector: str, thing: dict[str, Any]) -> bool:
    for one in filter(None, selector.split(",")):
        name, sign, value = re.split(r"(!=|==|=)", one, maxsplit=1) if "=" in one else (one, "", "")
        part, field = FIELDS.get(name, ("", ""))
        same = ((thing.get(part) or {}).get(field) or "") == value
        if not field or same == (sign == "!="):
            return False
    return True
