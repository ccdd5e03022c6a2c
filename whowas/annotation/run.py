"""Runs an annotation: bytes in, the same bytes with names out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ingest.files import Input
from ingest.wrappings import is_object
from whowas.annotation.annotator import Annotator, Choice, Tally
from whowas.annotation.delimited import Delimited
from whowas.annotation.namer import BatchNamer
from whowas.annotation.ndjson import Fields, Ndjson
from whowas.annotation.text.line_times import Years
from whowas.annotation.text.lines import KINDS, Text
from whowas.annotation.text.recognise import is_text
from whowas.annotation.times import Clock
from whowas.annotation.wrapped import TOO_LONG, Format, Wrapped, wrappings_of
from whowas.annotation.zeek import Zeek
from whowas.errors import BrokenInput, ConfigError, InputError
from whowas.schema import CONFIDENCES
from whowas.stages import Unreadable
from whowas.timestamps import UNIT_WORDS

BATCH = 1 << 20
# So much is looked at to tell what an input is.
HEAD = 1 << 16
FORMATS = ("ndjson", "csv", "tsv", "zeek", *KINDS)
# Of these lines it is told whether they are wrapped.
LINES = 64


@dataclass
class Form:
    """What the input is. format: "" = told by its beginning. header: names of columns, where it has none itself.

    shown: at a terminal. Of free text: names: how they stand in it, one of STYLES; pattern: of its times; year: of its
    first line, where times have none; not_after: when the last line was written, at the latest.
    """

    format: str = ""
    delimiter: str = ""
    header: tuple[str, ...] = ()
    shown: bool = False
    names: str = ""
    pattern: str = ""
    year: int | None = None
    not_after: datetime | None = None


@dataclass
class Done:
    """What came of it."""

    tally: Tally = field(default_factory=Tally)
    clock: Clock = field(default_factory=Clock)
    format: str = ""
    unreadable: list[Unreadable] = field(default_factory=list)
    # Lines of free text by what they were.
    kinds: Counter[str] = field(default_factory=Counter)

    def whole(self) -> bool:
        """Say whether the input was read to its end, each line of it, and names could be asked for at all."""
        return not (self.unreadable or self.tally.unread or self.nothing())

    def nothing(self) -> bool:
        """Say whether there were lines, and not one address among them."""
        return bool(self.tally.lines) and not self.tally.named

    def to_json(self) -> dict[str, Any]:
        """The object that `whowas annotate --json` prints on standard error."""
        tally = self.tally
        return {
            "format": self.format,
            "kinds": dict(sorted(self.kinds.items())),
            "lines": tally.lines,
            "named": tally.named,
            "without_address": tally.without,
            "unread": dict(sorted(tally.unread.items())),
            "unread_addresses": tally.unread_addresses,
            "addresses": sum(tally.answers.values()),
            "answers": {word: tally.answers[word] for word in CONFIDENCES},
            "times": dict(sorted(self.clock.seen.items())),
            "unreadable": [{"offset": bad.offset, "reason": bad.reason} for bad in self.unreadable],
        }


class Run:
    """One input, annotated from its beginning to its end.

    Args: write: takes bytes and has them written when it returns. say: takes a line for the user.
    """

    def __init__(
        self, asker: BatchNamer, choice: Choice, form: Form, clock: Clock, write: Callable[[bytes], None],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.done = Done(clock=clock)
        self._beside = Annotator(asker, clock, self.done.tally)
        self._choice, self._form, self._write, self._say = choice, form, write, say
        self._format: Format | None = None
        self._held = b""
        # Inside of a record that is too long, up to its next line end.
        self._passing = False
        self._units: set[str] = set()

    def annotate(self, source: Input) -> Done:
        """Read to the end. What is readable before a break is delivered; the break stands in `unreadable`."""
        last = False
        while not last:
            try:
                data = source.some(BATCH)
            except BrokenInput as broken:
                self.done.unreadable.append(Unreadable(broken.offset, broken.reason))
                data = b""
            last = not data
            if source.is_utf16 and "utf-16" not in self._units:
                self._units.add("utf-16")
                self._say("the log is UTF-16: it comes out as UTF-8")
            self._take(data, last)
        return self.done

    def _take(self, data: bytes, last: bool) -> None:
        if self._passing:
            cut = data.find(b"\n") + 1
            self._passing = not cut and not last
            self._write(data[: cut or len(data)])
            data = data[cut or len(data) :]
        data = self._held + data
        if self._format is None:
            if not (b"\n" in data or len(data) >= HEAD or last):
                self._held = data
                return
            self._format = self._told(data)
        out, used = self._format.take(data, last)
        self._write(out)
        self._held = data[used:]
        if len(self._held) > self._format.longest:
            self._give_up()
        self._say_units()

    def _give_up(self) -> None:
        """Hand a record through that goes on for too long: up to the last line end there is, or else to the next."""
        cut = self._held.rfind(b"\n") + 1
        self._write(self._held[: cut or len(self._held)])
        self._passing = not cut
        self._held = self._held[cut:] if cut else b""
        self.done.tally.lines += 1
        self.done.tally.refuse(TOO_LONG)

    def _told(self, data: bytes) -> Format:
        head = data[:HEAD]
        # The last line may go on.
        lines = head[: head.rfind(b"\n") + 1 or len(head)].removeprefix(b"\xef\xbb\xbf").split(b"\n")
        found = None if self._is_plain(lines) or self._form.format in KINDS else wrappings_of(lines)
        if found is None:
            return self._format_of(data)
        chain, inner = found
        # Text in a container's log has its time before it, and room behind it.
        form, objects = self._form, any(one.lstrip()[:1] == b"{" for one in inner)
        if not (form.format or form.header or objects) and _told_format(b"\n".join(inner), self._choice) == "text":
            return self._text("")
        # Programs say this and that before they log: one object is enough.
        first = next((one for one in inner if is_object(one)), b"\n".join(inner))
        inside = self._format_of(first)
        self._say(f"each line is wrapped: {chain.name}")
        return Wrapped(chain, inside, isinstance(inside, Ndjson), self.done.tally, self._choice.suffix)

    def _is_plain(self, lines: list[bytes]) -> bool:
        """Say whether JSON lines have addresses of their own: what lies in them is part of their message."""
        fields = Fields(self._choice, lambda _: None)
        return any(one.lstrip()[:1] == b"{" and fields.look(one) for one in lines[:LINES])

    def _format_of(self, data: bytes) -> Format:
        form = self._form
        self.done.format = form.format or ("csv" if form.header or form.delimiter else recognised(data, self._choice))
        if self.done.format in KINDS:
            return self._text(form.format)
        for option, value in (("--names", form.names), ("--time-pattern", form.pattern), ("--year", form.year)):
            if value:
                raise ConfigError(
                    f"cannot use {option}: the log is {self.done.format}, it is for free text; leave it out"
                )
        if self.done.format == "ndjson":
            return Ndjson(self._beside, self._choice, self._say)
        if self.done.format == "zeek":
            return Zeek(self._beside, self._choice, self._say)
        delimiter = form.delimiter or ("\t" if self.done.format == "tsv" else "")
        return Delimited(self._beside, self._choice, self._say, delimiter, form.header, form.shown)

    def _text(self, kind: str) -> Format:
        form, self.done.format = self._form, kind or "text"
        years = Years(form.year, form.not_after)
        return Text(
            self._beside, self._choice, self._say, years, names=form.names, kind=kind, pattern=form.pattern,
            kinds=self.done.kinds,
        )  # fmt: skip

    def _say_units(self) -> None:
        """Numbers are times of a unit that was not told, mostly: say what they were taken for."""
        for unit in self.done.clock.seen.keys() - self._units:
            self._units.add(unit)
            if unit in UNIT_WORDS and self.done.clock.unit is None:
                self._say(f"times are numbers: taken for {UNIT_WORDS[unit]} since 1970 (--time-unit says otherwise)")


def _told_format(data: bytes, choice: Choice) -> str:
    try:
        return recognised(data, choice)
    except InputError:
        return ""


def recognised(data: bytes, choice: Choice) -> str:
    """Say which format an input has by its beginning. Raises: InputError for what has no lines of records."""
    head = data[:HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"PAR1") or head.startswith(b"ARROW1"):
        raise InputError(
            "cannot annotate a file of columns: it has no lines; read it in Python and use whowas.annotate"
        )
    if head.startswith(b"[{") or head.startswith(b"[\n") or head == b"[":
        raise InputError("cannot annotate a JSON array: an object a line is wanted; make them with: jq -c '.[]'")
    lines = head.split(b"\n")
    if head.startswith(b"{"):
        return "ndjson"
    if head.startswith(b"#") and any(line.startswith((b"#separator", b"#fields")) for line in lines):
        return "zeek"
    if b"\0" in lines[0]:
        raise InputError(
            "cannot annotate a file that is no text: it has no lines; captures are read by 'whowas replay'"
        )
    return "text" if is_text([line for line in lines if line.strip()], choice) else "csv"
