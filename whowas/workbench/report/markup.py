"""Markup for the report: text of strangers becomes markup in one place, `text`, and nowhere else.

`tag` escapes all that is not `Html` already, so that nothing can be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from whowas.safe_text import clean
from whowas.timestamps import spell

LONGEST = 160
MOST_LINES, LONGEST_LINE, LONGEST_TEXT = 400, 4000, 20_000
EMPTY = frozenset({"meta"})


class Html(str):
    """Markup that was made here."""

    __slots__ = ()


def text(value: object, longest: int = LONGEST) -> Html:
    """Anything as text: controls, direction marks and lone surrogates as escapes, long ones cut in their middle."""
    return value if isinstance(value, Html) else Html(escape(cut(str(value), longest)))


def cut(value: str, longest: int = LONGEST) -> str:
    """Text that shows as what it is, and is not too long. The cut says how long it was."""
    if len(value) > longest:
        half = longest // 2 - 12
        return f"{clean(value[:half])} … {clean(value[-half:])} ({len(value):,} characters)"
    return clean(value)


def lines(value: str) -> Html:
    """Text whose line breaks are meant."""
    told = value[:LONGEST_TEXT].split("\n")
    kept = [text(one, LONGEST_LINE) for one in told[:MOST_LINES]]
    if len(told) > MOST_LINES:
        kept.append(Html(f"… {len(told) - MOST_LINES:,} more lines"))
    if len(value) > LONGEST_TEXT:
        kept.append(Html(f"… {len(value) - LONGEST_TEXT:,} more characters"))
    return Html("\n".join(kept))


def tag(name: str, /, *inside: object, **attributes: object) -> Html:
    """One element. A trailing _ of an attribute's name is dropped, others become -; None leaves it out."""
    told = "".join(f' {_attribute(key)}="{text(value)}"' for key, value in attributes.items() if value is not None)
    if name in EMPTY:
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}>{joined(inside)}</{name}>")


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def joined(parts: Iterable[object]) -> Html:
    """Several parts, one behind the other."""
    return Html("".join(text(one) for one in parts))


def table(head: Sequence[object], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> Html:
    """A table. numbers: places of columns that stand to the right."""
    side = dict.fromkeys(numbers, "n")
    first = tag("tr", *(tag("th", one, scope="col", class_=side.get(place)) for place, one in enumerate(head)))
    body = [tag("tr", *(tag("td", one, class_=side.get(place)) for place, one in enumerate(row))) for row in rows]
    return tag("div", tag("table", tag("thead", first), tag("tbody", *body)), class_="wide")


def section(title: str, *inside: object) -> Html:
    """A part of the report, with its heading."""
    return tag("section", tag("h2", title), *inside)


def to_copy(command: str) -> Html:
    """A text to be copied, whole."""
    return tag("pre", tag("code", lines(command)))


def folded(title: str, *inside: object) -> Html:
    """What is shown on demand."""
    return tag("details", tag("summary", title), *inside)


def moment(us: int | None, digits: int = 3) -> str:
    """A time, UTC."""
    return "not known" if us is None else spell(us, digits=digits)


def count(number: float) -> str:
    """A number with separators."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """`1 flow`, `2,310 flows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(part: int, whole: int) -> str:
    """A share. What is little is never 0 %, and what is not all is never 100 %."""
    if not whole:
        return "–"
    share = 100 * part / whole
    return f"{min(max(share, 0.1), 99.9):.1f} %" if 0 < part < whole else f"{share:.0f} %"
