"""How names stand in text: behind the line, as further keys, or beside each address; and how they are taken out again.

Whatever the line's own text is, what was put behind it can be told from it: `without_names` gives back every byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from whowas.annotation.ndjson import as_json
from whowas.safe_text import clean

# Words behind which a reason says what to do about it.
UNSURE = ("unknown", "ambiguous")
NO_NAME = "?"
# In a name these end something; in a reason blanks and brackets are read as they are.
IN_NAME = re.compile(r"[^!#-'*-:<>-\[\]-{}~]")
IN_REASON = re.compile(r"[^ !#-:<-\[\]-~]")


class Short(NamedTuple):
    """An answer in two words. name: namespace/pod, namespace/service, a node, a network; several with bars between."""

    name: str
    word: str
    reason: str


def short(answer: dict[str, Any]) -> Short:
    """Put an answer into two words; the reason only where it was not known who it was."""
    word = str(answer["confidence"])
    own = answer["pod"] or answer["service"] or answer["node"] or answer["workload"]
    if word == "ambiguous":
        names = [_name(one["namespace"], one["name"]) for one in answer["candidates"] or ()]
        name = "|".join(names) or NO_NAME
    else:
        name = _name(answer["namespace"], own) if own else NO_NAME
    return Short(name, word, str(answer["reason"] or "") if word in UNSURE else "")


def _name(namespace: str | None, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _escaped(text: str, odd: re.Pattern[str]) -> str:
    return odd.sub(lambda found: "".join(f"\\x{one:02x}" for one in found[0].encode(errors="replace")), text)


def entry(one: Short) -> bytes:
    """What stands behind `ADDRESS=`: a name without blanks, a word, and where nothing is known the reason."""
    names = "|".join(_escaped(name, IN_NAME) for name in one.name.split("|"))
    reason = f" ({_escaped(one.reason, IN_REASON)})" if one.reason else ""
    return f"{names} {one.word}{reason}".encode()


def beside(one: Short) -> bytes:
    """What stands behind an address within the line."""
    return entry(one._replace(reason=""))


def behind(key: str, entries: Sequence[tuple[str, bytes]]) -> bytes:
    """What stands behind a line: ` whowas="10.1.2.3=shop/web-1 exact; 10.4.5.6=? unknown (the reason)"`."""
    return b' %b="%b"' % (key.encode(), b"; ".join(address.encode() + b"=" + one for address, one in entries))


def behind_json(key: str, entries: Sequence[tuple[str, bytes]]) -> bytes:
    """The same as an object: ` whowas={"10.1.2.3":{"confidence":"exact", …}}`."""
    inner = b",".join(b'"%b":%b' % (address.encode(), one) for address, one in entries)
    return b" %b={%b}" % (key.encode(), inner)


def without_names(line: bytes, key: str) -> bytes:
    """Return a line as it was before `behind`, `behind_json` or `inserted`; one without names as it is."""
    body = line.rstrip(b"\r\n")
    end = line[len(body) :]
    mark = f" {key}=".encode()
    if body.endswith(b'"'):
        at = body.rfind(b'"', 0, len(body) - 1)
        if at >= len(mark) and body[at - len(mark) : at] == mark:
            return body[: at - len(mark)] + end
    if body.endswith(b"}"):
        at = body.rfind(mark + b'{"')
        if at >= 0:
            return body[:at] + end
    return inside(key).sub(b"", body) + end


@lru_cache(maxsize=16)
def inside(key: str) -> re.Pattern[bytes]:
    """What finds the names within a line."""
    return re.compile(rb"\(" + re.escape(key.encode()) + rb" [^()\n]{0,4096}\)")


def inserted(key: str, line: bytes, places: Sequence[tuple[int, bytes]]) -> bytes:
    """A line with names in it. places: where each address ends, and its name."""
    parts, at = [], 0
    for end, one in places:
        parts += [line[at:end], b"(%b %b)" % (key.encode(), one)]
        at = end
    return b"".join([*parts, line[at:]])


def _cef(text: str) -> str:
    return text.replace("\\", "\\\\").replace("=", "\\=")


def _logfmt(text: str) -> str:
    if text and not re.search(r'[\s="\\]', text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def as_key_for_all(kind: str, delimiter: bytes, key: str, entries: Sequence[tuple[str, bytes]]) -> bytes:
    """What stands behind a line of keys for addresses within its texts: the same as behind text, as one more key."""
    if kind == "logfmt":
        return behind(key, entries)
    told = b"; ".join(address.encode() + b"=" + one for address, one in entries).decode()
    return as_keys(kind, delimiter, key, "", [("", told)])


def camel(word: str) -> str:
    """CEF's keys have letters and digits alone: workload_kind is WorkloadKind."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", word))


def as_keys(kind: str, delimiter: bytes, field: str, suffix: str, columns: Sequence[tuple[str, str]]) -> bytes:
    """What stands behind a line of keys for one field. columns: name ("" = of the field itself) and value."""
    parts = []
    for name, value in columns:
        key = field + suffix + (f"_{name}" if name else "")
        if kind == "cef":
            parts.append(f"{field}{camel(suffix)}{camel(name)}={_cef(clean(value))}".encode())
        elif kind == "leef":
            text = clean(value).encode(errors="replace")
            parts.append(key.encode() + b"=" + text.replace(delimiter, b"\\x%02x" % delimiter[0]))
        else:
            parts.append(f"{key}={_logfmt(clean(value))}".encode(errors="replace"))
    return b"".join(delimiter + part for part in parts)


def writer(names: str, columns: tuple[str, ...]) -> Callable[[dict[str, Any]], bytes]:
    """Return what writes an answer in a style: short, json or inline."""
    if names == "json":
        return lambda answer: as_json(answer, columns)
    return (lambda answer: beside(short(answer))) if names == "inline" else (lambda answer: entry(short(answer)))
