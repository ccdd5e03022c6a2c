"""Reads policies from files as people have them: several documents, lists, defaults left out, what kustomize built."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from detect.policy.fields import Unreadable
from detect.policy.kinds import is_judged, is_other, read_policy
from detect.policy.model import Policy
from whowas.errors import InputError, MissingExtra

ENDINGS = (".yaml", ".yml", ".json")
# It may leave out its kind, and is for kustomize to read.
KUSTOMIZATION = "kustomization"
MOST_BYTES = 64 << 20
DEEPEST = 100
NEXT = "correct it, or leave the file out"


@dataclass
class PolicyFiles:
    """What was read. others: policies of kinds that are not judged, in words. passed: objects that are no policies."""

    policies: list[Policy] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    passed: int = 0


def read_files(paths: Sequence[str], namespace: str = "default") -> PolicyFiles:
    """Read files and folders; `-` is standard input. namespace: of what names none.

    Raises: InputError with file, document and field for what no apiserver would take, and for a policy told twice.
    """
    found, seen = PolicyFiles(), dict[tuple[str, str, str], str]()
    for path in _found(paths):
        _take(found, seen, path, _documents(path), namespace)
    return found


def read_text(text: str, name: str, namespace: str = "default") -> PolicyFiles:
    """Read YAML or JSON as read_files does. name: what errors call it. Raises: InputError."""
    found = PolicyFiles()
    _take(found, {}, name, _parsed(text, name), namespace)
    return found


def _take(
    found: PolicyFiles, seen: dict[tuple[str, str, str], str], path: str, documents: list[Any], namespace: str
) -> None:  # fmt: skip
    for number, one in _objects(path, documents):
        where = f"'{path}', document {number}"
        policy = _policy(one, namespace, where, found)
        if policy is None:
            continue
        if policy.key() in seen:
            other = seen[policy.key()]
            raise InputError(f"cannot use {policy.kind} {policy} of {where}: it is in {other} as well; leave out one")
        seen[policy.key()] = where
        found.policies.append(policy)


def _policy(one: dict[str, Any], namespace: str, where: str, found: PolicyFiles) -> Policy | None:
    kind, version = str(one.get("kind")), str(one.get("apiVersion") or "")
    meta = one.get("metadata") if isinstance(one.get("metadata"), dict) else {}
    name, space = str((meta or {}).get("name") or ""), str((meta or {}).get("namespace") or namespace)
    if is_other(kind, version):
        found.others.append(f"{kind} ({version}) {space}/{name} in {where}")
        return None
    if not is_judged(kind, version):
        found.passed += 1
        return None
    if not name:
        raise InputError(f"cannot use the {kind} of {where}: it has no name; {NEXT}")
    try:
        return read_policy(kind, space if kind == "NetworkPolicy" else "", name, one.get("spec"))
    except Unreadable as error:
        raise InputError(f"cannot use {kind} {name} of {where}: {error}; {NEXT}") from error


def _found(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        if os.path.isdir(path):
            here = (one for one in Path(path).rglob("*") if one.suffix in ENDINGS and one.stem != KUSTOMIZATION)
            several = sorted(str(one) for one in here if one.is_file())
            if not several:
                raise InputError(f"cannot read policies in '{path}': no file in it ends in {', '.join(ENDINGS)}")
            yield from several
        else:
            yield path


def _objects(path: str, documents: list[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number of its document, object), lists taken apart."""
    for number, document in enumerate(documents, 1):
        for one in _items(document):
            if not isinstance(one, dict) or not one.get("kind"):
                raise InputError(f"cannot read '{path}', document {number}: it is no object of Kubernetes; {NEXT}")
            yield number, one


def _items(document: Any) -> Iterable[Any]:
    """The objects of a document: of a list its items, which may leave their kind to it."""
    if document is None:
        return []
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        return [document]
    kind, version = str(document.get("kind") or "").removesuffix("List"), document.get("apiVersion")
    own = {"kind": kind, "apiVersion": version} if kind else {}
    return [own | one if isinstance(one, dict) else one for one in document["items"]]


def _documents(path: str) -> list[Any]:
    try:
        raw = sys.stdin.buffer.read(MOST_BYTES + 1) if path == "-" else _bytes(path)
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror or error}; name a file of policies") from error
    if len(raw) > MOST_BYTES:
        raise InputError(f"cannot read '{path}': it has more than {MOST_BYTES >> 20} MiB; split it up")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read '{path}' at byte {error.start:,}: it is not UTF-8; {NEXT}") from error
    return _parsed(text, path)


def _parsed(text: str, path: str) -> list[Any]:
    if text.lstrip()[:1] == "{":
        try:
            return [msgspec.json.decode(text)]
        except (msgspec.DecodeError, RecursionError):
            pass  # several values, or YAML in braces: the reader of YAML says what is wrong
    return _yaml(text, path)


def _bytes(path: str) -> bytes:
    with open(path, "rb") as handle:
        return handle.read(MOST_BYTES + 1)


def _yaml(text: str, path: str) -> list[Any]:
    """Read YAML. What makes a small file large, aliases and depth, is refused."""
    try:
        import yaml
    except ImportError:
        raise MissingExtra("yaml", "rules") from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise InputError(
                    f"cannot read '{path}' line {line}: a YAML alias (*name) is used; write it out, as kustomize does"
                )
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise InputError(f"cannot read '{path}': it is nested deeper than {DEEPEST}; {NEXT}")
        return list(yaml.load_all(text, Loader=loader))
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        cause = " ".join(str(getattr(error, "problem", None) or error).split())
        place = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"cannot read '{path}'{place}: it is not YAML: {cause}; {NEXT}") from error
