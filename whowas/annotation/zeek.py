"""Zeek's tab-separated logs: their header says which columns are addresses, and grows with the columns."""

from __future__ import annotations

import re
from collections.abc import Callable

from whowas.annotation.annotator import Annotator, Choice
from whowas.annotation.delimited import Columns, Say, ended, lines_of

LONGEST = 1 << 20
SEPARATOR = "\t"
# What Zeek itself writes as \xHH: control characters, and whatever is not ASCII.
UNPRINTABLE = re.compile(r"[^\x20-\x7e]|\\")


class Zeek:
    """Takes bytes as they come, gives back whole lines. Each header inside of the input begins anew."""

    longest = LONGEST

    def __init__(self, beside: Annotator, choice: Choice, say: Say) -> None:
        self._beside, self._choice = beside, choice
        self._say = _once(say)
        self._columns: Columns | None = None
        self._separator, self._unset, self._names = SEPARATOR, "-", ""
        self._wide = 0

    def take(self, data: bytes, last: bool) -> tuple[bytes, int]:
        """Return whole lines, annotated, and how many bytes they were. last: nothing more will come."""
        cut = len(data) if last else data.rfind(b"\n") + 1
        out: list[str] = []
        rows: list[str] = []
        for line in lines_of(data[:cut].decode("latin-1")):
            if line.startswith("#"):
                out += [*self._rows(rows), self._directive(line)]
                rows = []
                continue
            # Types did not come, and will not any more.
            out.append(self._fields(""))
            rows.append(line)
        out += self._rows(rows)
        if last:
            out.append(self._fields(""))
        return "".join(out).encode("latin-1"), cut

    def _directive(self, line: str) -> str:
        """Take in a line of the header. That of the fields waits for that of their types."""
        body, _ = ended(line)
        word, _, rest = body.partition(self._separator)
        before = self._fields(line if word == "#types" else "")
        if word == "#types" and before:
            return before
        if body.startswith("#separator"):
            self._separator = _separator(body.partition(" ")[2])
        elif word == "#unset_field":
            self._unset = rest or "-"
        elif word == "#fields":
            self._names = line
            return before
        return before + line

    def _fields(self, types: str) -> str:
        """Return the header with its new columns, when there is one waiting. types: its second line, if it came."""
        if not self._names:
            return ""
        (body, end), self._names = ended(self._names), ""
        names = body.split(self._separator)[1:]
        kinds = ended(types)[0].split(self._separator)[1:]
        self._wide, self._columns = len(names), None
        addresses = [name for name, kind in zip(names, kinds, strict=False) if kind == "addr"]
        choice = self._choice if self._choice.addresses or not addresses else _with(self._choice, tuple(addresses))
        if choice.addresses or not kinds:
            self._columns = Columns(names, choice, self._beside, self._say)
            self._say(f"Zeek: addresses in {', '.join(self._columns.addresses)}")
        added = self._columns.added if self._columns is not None else []
        said = "".join(self._separator + name for name in added).encode().decode("latin-1")
        if not types:
            return body + said + end
        type_body, type_end = ended(types)
        return body + said + end + type_body + (self._separator + "string") * len(added) + type_end

    def _rows(self, lines: list[str]) -> list[str]:
        if not lines:
            return []
        tally = self._beside.tally
        tally.lines += sum(not line.isspace() for line in lines)
        cells = [ended(line)[0].split(self._separator) for line in lines]
        good = [place for place, row in enumerate(cells) if len(row) == self._wide]
        tally.refuse("other columns than the header has", sum(not one.isspace() for one in lines) - len(good))
        if self._columns is None:
            tally.without += len(good)
        elif good:
            if self._unset != "-":
                cells = [["-" if cell == self._unset else cell for cell in row] for row in cells]
            texts = self._columns.texts([cells[place] for place in good], self._write)
            for place, added in zip(good, texts, strict=True):
                body, end = ended(lines[place])
                lines[place] = body + added + end
        return lines

    def _write(self, cells: list[str]) -> str:
        return "".join(self._separator + (self._escaped(cell) or self._unset) for cell in cells)

    def _escaped(self, cell: str) -> str:
        text = UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", cell)
        return text.replace(self._separator, "".join(f"\\x{ord(one):02x}" for one in self._separator))


def _separator(told: str) -> str:
    """Return what a header's `\\x09` or `,` means; a tab, as Zeek writes it, where that means nothing."""
    try:
        found = told.encode("latin-1").decode("unicode_escape")
    except UnicodeDecodeError:
        return SEPARATOR
    return found if found and all(one not in "\r\n" and ord(one) < 256 for one in found) else SEPARATOR


def _with(choice: Choice, addresses: tuple[str, ...]) -> Choice:
    return Choice(addresses, choice.time, choice.at_us, choice.columns, choice.suffix)


def _once(say: Say) -> Callable[[str], None]:
    """Rotated logs begin with the same header again and again: it is told once."""
    said: set[str] = set()

    def told(line: str) -> None:
        if line not in said:
            said.add(line)
            say(line)

    return told
