"""What a named flow says of its ends: who each may have been, as far as that decides a verdict."""

from __future__ import annotations

from typing import Any, NamedTuple

from detect.policy.moments import Holder

CERTAIN_POD = ("exact", "likely")


class FlowEnd(NamedTuple):
    """Who an end may have been. service: namespace of the Service whose address it is, "" = none; None: not of one.

    snat: a node that may be speaking for pods.
    """

    holders: tuple[Holder, ...]
    service: str | None = None
    snat: bool = False


def flow_end(row: dict[str, Any], side: str) -> FlowEnd | None:
    """Read one end of a flow; None where nobody can say who it was.

    Args: row: columns of a named flow as Python values.
    """
    confidence, address = row[f"{side}_confidence"], row[f"{side}_ip16"]
    kind = row[f"{side}_kind"]
    if confidence in (None, "unknown"):
        return None
    if confidence == "ambiguous":
        return _several(row[f"{side}_candidates"], address)
    if kind == "service":
        return FlowEnd((Holder(address=address, name=_name(row, side, "service")),), row[f"{side}_namespace"] or "")
    if kind == "pod" and row[f"{side}_pod_uid"]:
        return FlowEnd((Holder(row[f"{side}_pod_uid"], address, "", _name(row, side, "pod")),))
    if kind == "pod":
        return None
    node = row[f"{side}_node"] or "" if kind == "node" else ""
    return FlowEnd((Holder(address=address, node=node, name=node),), snat=confidence == "snat")


def _name(row: dict[str, Any], side: str, what: str) -> str:
    return f"{row[f'{side}_namespace']}/{row[f'{side}_{what}']}"


def _several(candidates: list[dict[str, Any]] | None, address: bytes | None) -> FlowEnd | None:
    """Each that it may have been; a Service among them leaves it open what is judged."""
    found = []
    for one in candidates or ():
        if one["kind"] == "pod" and one["uid"]:
            found.append(Holder(one["uid"], address, "", f"{one['namespace']}/{one['name']}"))
        elif one["kind"] == "node":
            found.append(Holder(address=address, node=one["name"] or "", name=one["name"] or ""))
        else:
            return None
    return FlowEnd(tuple(found)) if found else None
