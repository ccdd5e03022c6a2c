"""When a line of text was written, as the line itself says at its start, put into the spelling of RFC 3339.

Never a time from further inside: what stands there may be anybody's words.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from whowas.errors import ConfigError

MONTHS = {one: number for number, one in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_MONTH = rb"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = rb"(?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<part>\d{1,9}))?+"
_ZONE = rb"(?: ?(?:GMT|UTC)?(?P<zone>[+-]\d\d:?\d\d|Z|UTC|GMT)(?![\w.]))?"
# A priority of syslog with RFC 5424's version, a pod's name of `kubectl logs --prefix`, brackets.
START = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\[pod/[^\s\]]{1,300}\] )?(?:\d{1,7} (?=<))?(?:<\d{1,3}>(?:\d{1,2} )?)?[\[*. ]{0,2}"
)
ISO = re.compile(rb"(?P<year>\d{4})[-/](?P<number>\d\d)[-/](?P<day>\d\d)[T ]" + _CLOCK + _ZONE)
CLASSIC = re.compile(_MONTH + rb" {1,2}(?P<day>\d{1,2}) (?:(?P<year>\d{4}) )?" + _CLOCK + _ZONE)
ACCESS = re.compile(rb"(?P<day>\d\d)/" + _MONTH + rb"/(?P<year>\d{4}):" + _CLOCK + _ZONE)
ERROR = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) " + _MONTH + rb" {1,2}(?P<day>\d{1,2}) " + _CLOCK + rb" (?P<year>\d{4})"
)
KLOG = re.compile(rb"[IWEF](?P<number>\d\d)(?P<day>\d\d) " + _CLOCK)
AUDIT = re.compile(rb"type=\w{1,64} msg=audit\((?P<since>\d{10}\.\d{3}):")
SINCE = re.compile(rb"(?P<since>\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})(?=[\s:,;|\]]|$)")
DAYS = frozenset(b"Mon Tue Wed Thu Fri Sat Sun".split())
KEPT = 1 << 12
# An access log begins with who asked, an address or a host.
ASKED = re.compile(rb"[^\s\".:]{0,255}+[.:][^\s\"]{0,255}+ ")
LONGEST_HEAD = 8192
# A user's pattern is looked for so far into a line.
PATTERN_WITHIN = 1024
DIRECTIVES = {
    "Y": rb"(?P<year>\d{4})", "m": rb"(?P<number>\d\d)", "d": rb"(?P<day>\d{1,2})", "b": _MONTH,
    "H": rb"(?P<hour>\d\d)", "M": rb"(?P<minute>\d\d)", "S": rb"(?P<second>\d\d)", "f": rb"(?P<part>\d{1,9})",
    "z": rb"(?P<zone>Z|[+-]\d\d:?\d\d)", "s": rb"(?P<since>\d{10,19}(?:\.\d{1,9})?)", "%": b"%",
}  # fmt: skip


class Years:
    """Which year times without one are of: that of the first line, and one more where December becomes January.

    told: of the first line. not_after: else it is the last year that puts the first line before this.
    """

    def __init__(self, told: int | None = None, not_after: datetime | None = None) -> None:
        self._not_after = not_after or datetime.now(UTC)
        self._year, self._month = told or 0, 0
        self.used: int | None = None

    def of(self, month: int, day: int) -> int:
        """Return the year of a time."""
        if not self._year:
            # A day's grace: clocks are off, and zones differ.
            late = (month, day) > (self._not_after.month, self._not_after.day + 1)
            self._year = self._not_after.year - late
        year = self._year
        if self._month and month < self._month - 6:
            self._year = year = year + 1
            self._month = month
        elif self._month and month > self._month + 6:
            # A line that comes late, of the year that has just ended.
            year -= 1
        else:
            self._month = month
        self.used = self.used or year
        return year


class LineTimes:
    """Reads the time of lines. pattern: a user's own, as strptime has it. Raises: ConfigError for a senseless one."""

    def __init__(self, years: Years, pattern: str = "") -> None:
        self._years = years
        self._pattern = compiled(pattern) if pattern else None
        self._asked_at: dict[bytes, str | None] = {}

    def of(self, line: bytes) -> str | None:
        """Return the line's own time; None where there is none at its start."""
        if self._pattern is not None:
            found = self._pattern.search(line, 0, PATTERN_WITHIN)
            return self._spelt(found) if found else None
        head = None if line[:1].isalnum() and b" <" not in line[:9] else START.match(line)
        start = head.end() if head else 0
        form = form_of(line[start : start + 10])
        found = form.match(line, start) if form else None
        return self._spelt(found) if found else self._asked(line)

    def _asked(self, line: bytes) -> str | None:
        """An access log's time: in brackets before the first quote, which no user's name can hold."""
        quote = line.find(b'] "', 0, LONGEST_HEAD)
        bracket = line.rfind(b"[", 0, quote) if quote > 0 else -1
        if bracket < 0 or line.find(b'"', 0, bracket) >= 0 or not ASKED.match(line, 0, bracket):
            return None
        text = line[bracket + 1 : quote]
        if text not in self._asked_at:
            if len(self._asked_at) > KEPT:
                self._asked_at.clear()
            found = ACCESS.fullmatch(text)
            self._asked_at[text] = self._spelt(found) if found else None
        return self._asked_at[text]

    def read(self, text: bytes) -> str | None:
        """Return the time that a field holds, in any of the spellings known; as it is where it is none of these."""
        for form in (ISO, CLASSIC, ACCESS, ERROR):
            if found := form.match(text):
                return self._spelt(found) if found.end() == len(text.rstrip()) else text.decode(errors="replace")
        return text.decode(errors="replace")

    def _spelt(self, found: re.Match[bytes]) -> str:
        told = found.groupdict()
        if since := told.get("since"):
            return str(since, "ascii")
        month = MONTHS[told["month"]] if told.get("month") else int(told.get("number") or 0)
        day = int(told["day"] or 0)
        year = int(told["year"]) if told.get("year") else self._years.of(month, day)
        clock = told.get("clock") or b"%b:%b:%b" % (told["hour"], told["minute"], told.get("second") or b"00")
        part = b"." + told["part"] if told.get("part") else b""
        return f"{year:04}-{month:02}-{day:02}T{(clock + part).decode()}{_offset(told.get('zone') or b'')}"


def form_of(head: bytes) -> re.Pattern[bytes] | None:
    """Return the one spelling that a time with this beginning can have, None where it is no time."""
    if head[:1].isdigit():
        if head[4:5] in (b"-", b"/"):
            return ISO
        return ACCESS if head[2:3] == b"/" else SINCE if head.isdigit() else None
    if head[:3] in MONTHS:
        return CLASSIC
    if head[:3] in DAYS:
        return ERROR
    if head[1:5].isdigit():
        return KLOG
    return AUDIT if head.startswith(b"type=") else None


def _offset(zone: bytes) -> str:
    text = zone.decode()
    if text in ("Z", "UTC", "GMT"):
        return "+00:00"
    return text if not text or ":" in text else f"{text[:3]}:{text[3:]}"


def compiled(pattern: str) -> re.Pattern[bytes]:
    """Turn %d.%m.%Y %H:%M:%S into what finds it: directives of fixed width alone, so that no line can take long."""
    parts: list[bytes] = []
    seen: set[str] = set()
    letters = iter(pattern)
    for letter in letters:
        word = next(letters, "") if letter == "%" else ""
        if letter == "%" and (word not in DIRECTIVES or word in seen - {"%"}):
            known = " ".join(f"%{one}" for one in DIRECTIVES)
            raise ConfigError(
                f"cannot use --time-pattern '{pattern}': '%{word}' is unknown or twice; known are {known}"
            )
        seen.add(word)
        parts.append(DIRECTIVES[word] if letter == "%" else re.escape(letter.encode()))
    if "s" not in seen and not ({"d", "H", "M"} <= seen and seen & {"m", "b"}):
        raise ConfigError(
            f"cannot use --time-pattern '{pattern}': a day, a month, an hour and a minute are wanted, or %s"
        )
    return re.compile(b"".join(parts))
