"""Headers of syslog: RFC 5424, RFC 3164, and the file format of rsyslog, with or without a priority.

Source: RFC 5424 section 6, RFC 3164 section 4, RFC 6587 section 3.4.1 (octet counting), rsyslog RSYSLOG_FileFormat.
"""

from __future__ import annotations

from ingest.wrappings.shapes import STAMP, Prefix

_COUNTED = rb"(?:\d{1,7} (?=<))?"
_PRIORITY = rb"<\d{1,3}>"
_MONTHS = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TAG = rb"[^\s:\[\]{}\"]{1,64}(?:\[[^\]\s]{0,64}\])?: ?"
_HOST = rb"[^\s{}\"]{1,255} "
# Some shippers mark JSON by a word.
_COOKIE = rb"(?:@cee: ?)?"
_ELEMENT = rb"\[(?:[^\]\\\"]|\"(?:[^\"\\]|\\.)*\")*\]"

MODERN = Prefix(
    "syslog",
    _COUNTED
    + _PRIORITY
    + rb"\d (?:-|" + STAMP + rb") \S{1,255} \S{1,48} \S{1,128} \S{1,32} (?:-|(?:" + _ELEMENT + rb"){1,64}) ?"
    + rb"(?:\xef\xbb\xbf)?"
    + _COOKIE,
)  # fmt: skip
_OLD = _MONTHS + rb" [ \d]?\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,9})? (?:" + _HOST + rb")?"
CLASSIC = Prefix(
    "syslog",
    _COUNTED + rb"(?:" + _PRIORITY + rb")?(?:" + _OLD + rb"|" + STAMP + rb" " + _HOST + rb")" + _TAG + _COOKIE,
)
