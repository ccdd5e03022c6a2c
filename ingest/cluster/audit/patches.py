"""Applies strategic merge, merge and JSON patches to the fields that are read.

An audit log gives a patch's body without its content type. A list of operations is a JSON patch. In what remains,
a list with a merge key is merged where the patch says so ($setElementOrder, $patch, $retainKeys), and conditions
always; any other list replaces the old one, which is what both kinds of patch mean by it.
Source: RFC 6902, RFC 7386; sig-api-machinery/strategic-merge-patch.md; patchMergeKey in k8s.io/api types.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Thing = dict[str, Any]
# Lists of what is read that a strategic patch merges, and by which field. containerStatuses are replaced.
MERGE_KEYS = {
    "conditions": "type",
    "podIPs": "ip",
    "addresses": "type",
    "containers": "name",
    "ownerReferences": "uid",
}
ALWAYS_MERGED = frozenset(("conditions", "containers"))
ORDER = "$setElementOrder/"
REMOVED = "$deleteFromPrimitiveList/"
# Of the three parts of an object, the fields that are read or that tell when it goes.
KEPT: dict[str, frozenset[str]] = {
    "metadata": frozenset(
        (
            "name",
            "namespace",
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "labels",
            "annotations",
            "ownerReferences",
            "finalizers",
        )
    ),
    "spec": frozenset(
        (
            "nodeName",
            "hostNetwork",
            "serviceAccountName",
            "containers",
            "clusterIP",
            "clusterIPs",
            "externalIPs",
            "ports",
            "podCIDR",
            "podCIDRs",
            "policyTypes",
            "podSelector",
            "ingress",
            "egress",
            "tier",
            "priority",
            "subject",
            "selector",
            "action",
            "rules",
            "targetRef",
            "targetRefs",
            "mtls",
            "portLevelMtls",
            "terminationGracePeriodSeconds",
        )
    ),
    "status": frozenset(
        (
            "phase",
            "reason",
            "startTime",
            "podIP",
            "podIPs",
            "conditions",
            "containerStatuses",
            "initContainerStatuses",
            "addresses",
            "loadBalancer",
        )
    ),
}
WHOLE_PART = ("$patch", "$retainKeys")
CONTAINER = ("name", "image", "ports")


class PatchError(ValueError):
    """A patch that does not fit what is known of the object."""


def reduced(thing: Thing, annotations: frozenset[str]) -> Thing:
    """Return the fields of an object, or of a patch of one, that are read, and some annotations; directives stay."""
    found: Thing = {name: thing[name] for name in ("kind", "endpoints") if name in thing}
    for part, names in KEPT.items():
        inner = thing.get(part)
        if isinstance(inner, dict):
            found[part] = {name: value for name, value in inner.items() if _field(name) in names or name in WHOLE_PART}
        elif part in thing and inner is None:
            found[part] = None
    meta = found.get("metadata")
    if isinstance(meta, dict) and isinstance(meta.get("annotations"), dict):
        meta["annotations"] = {name: text for name, text in meta["annotations"].items() if name in annotations}
    boxes = found["spec"].get("containers") if isinstance(found.get("spec"), dict) else None
    if isinstance(boxes, list):
        found["spec"]["containers"] = [_box(one) for one in boxes]
    return found


def _field(name: str) -> str:
    """The field a directive is about: `$setElementOrder/conditions` is about `conditions`."""
    return name.partition("/")[2] if name[:1] == "$" else name


def _box(one: Any) -> Any:
    """A container without its environment and commands."""
    return {name: one[name] for name in (*CONTAINER, "$patch") if name in one} if isinstance(one, dict) else one


def patched(thing: Thing, patch: Any, annotations: frozenset[str]) -> Thing:
    """Return the object after a patch; the object given is left as it is. Raises: PatchError."""
    if isinstance(patch, list):
        return reduced(_operations(thing, patch), annotations)
    if not isinstance(patch, dict):
        raise PatchError("neither an object nor a list of operations")
    made = _merged(thing, reduced(patch, annotations))
    return made if isinstance(made, dict) else {}


def _merged(old: Any, patch: Any) -> Any:
    """Merge one value; null deletes, and what is no object replaces."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "delete":
        return None
    whole = isinstance(old, dict) and patch.get("$patch") != "replace"
    made: Thing = dict(old) if whole else {}
    keep = patch.get("$retainKeys")
    if isinstance(keep, list):
        made = {name: value for name, value in made.items() if name in keep}
    for name, value in patch.items():
        if name.startswith(REMOVED):
            _strike(made, _field(name), value)
        elif name[:1] == "$":
            continue
        elif isinstance(value, list) and name in MERGE_KEYS and _by_key(name, value, patch):
            made[name] = _elements(made.get(name), value, MERGE_KEYS[name])
        else:
            one = _merged(made.get(name), value)
            if one is None:
                made.pop(name, None)
            else:
                made[name] = one
    _reorder(made, patch)
    return made


def _by_key(name: str, value: list[Any], patch: Thing) -> bool:
    marked = any(isinstance(one, dict) and "$patch" in one for one in value)
    return name in ALWAYS_MERGED or ORDER + name in patch or marked


def _strike(made: Thing, name: str, gone: Any) -> None:
    """Take values out of a list of plain values (finalizers)."""
    if isinstance(made.get(name), list) and isinstance(gone, list):
        made[name] = [one for one in made[name] if one not in gone]


def _elements(old: Any, patch: list[Any], key: str) -> list[Any]:
    """Merge a list of objects by the field that tells them apart."""
    things = [one for one in patch if isinstance(one, dict)]
    replaced = any(one.get("$patch") == "replace" for one in things)
    found: dict[Any, Any] = {}
    if isinstance(old, list) and not replaced:
        found = {_named(one, key): one for one in old if isinstance(one, dict)}
    for one in things:
        if one.get("$patch") == "replace":
            continue
        if one.get("$patch") == "delete":
            found.pop(_named(one, key), None)
        else:
            found[_named(one, key)] = _merged(found.get(_named(one, key)), one)
    return list(found.values())


def _named(one: Thing, key: str) -> str:
    return str(one.get(key))


def _reorder(made: Thing, patch: Thing) -> None:
    """Bring lists into the order the patch asks for: $setElementOrder names all that are to stand."""
    for name, order in patch.items():
        field = _field(name)
        key = MERGE_KEYS.get(field)
        if not name.startswith(ORDER) or key is None or not isinstance(order, list):
            continue
        places = {_named(one, key): place for place, one in enumerate(order) if isinstance(one, dict)}
        if isinstance(made.get(field), list):
            ranked = [(places.get(_named(one, key), len(places)), one) for one in made[field] if isinstance(one, dict)]
            made[field] = [one for _, one in sorted(ranked, key=lambda pair: pair[0])]


def _operations(thing: Thing, operations: Iterable[Any]) -> Thing:
    """Apply a JSON patch. What it says of fields that are not kept is passed over."""
    made: Any = _copied(thing)
    for one in operations:
        if not isinstance(one, dict) or not isinstance(one.get("path"), str):
            raise PatchError("an operation without a path")
        steps = _steps(one["path"])
        kind = one.get("op")
        if kind == "test" or not _read(steps):
            continue
        if kind in ("move", "copy"):
            value = _at(made, _steps(str(one.get("from"))))
            if kind == "move":
                _remove(made, _steps(str(one.get("from"))))
            _add(made, steps, _copied(value), False)
        elif kind == "remove":
            _remove(made, steps)
        elif kind in ("add", "replace"):
            _add(made, steps, one.get("value"), kind == "replace")
        else:
            raise PatchError(f"an operation {str(kind)[:20]!r}")
    if not isinstance(made, dict):
        raise PatchError("the object is gone")
    return made


def _steps(path: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _read(steps: list[str]) -> bool:
    """Say whether a path leads to something that is kept."""
    if len(steps) < 2:
        return bool(steps) and steps[0] in (*KEPT, "endpoints")
    if steps[0] == "spec" and steps[1] == "containers" and len(steps) > 3:
        return steps[3] in CONTAINER
    return steps[0] == "endpoints" or steps[1] in KEPT.get(steps[0], ())


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


def _place(step: str, most: int) -> int:
    if not (step.isascii() and step.isdigit()) or int(step) > most:
        raise PatchError(f"no element {step[:20]!r}")
    return int(step)


def _at(value: Any, steps: list[str]) -> Any:
    for step in steps:
        if isinstance(value, list):
            value = value[_place(step, len(value) - 1)]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            raise PatchError(f"no field {step[:40]!r}")
    return value


def _add(value: Any, steps: list[str], new: Any, replace: bool) -> None:
    """Put a value in its place. Objects on the way are made: of a partly known object they may be missing."""
    for step in steps[:-1]:
        if isinstance(value, dict) and step not in value:
            value[step] = {}
        value = _at(value, [step])
    last = steps[-1]
    if isinstance(value, dict):
        value[last] = new
    elif isinstance(value, list) and last == "-":
        value.append(new)
    elif isinstance(value, list):
        place = _place(last, len(value) - replace)
        value[place : place + replace] = [new]
    else:
        raise PatchError(f"no place for {last[:40]!r}")


def _remove(value: Any, steps: list[str]) -> None:
    if not steps:
        raise PatchError("the object is gone")
    inner = _at(value, steps[:-1])
    if isinstance(inner, dict):
        inner.pop(steps[-1], None)
    elif isinstance(inner, list):
        del inner[_place(steps[-1], len(inner) - 1)]
