"""Free text keeps every byte, gets names behind it, and names can be taken out again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.annotating import AT, WEB, annotate, unread

from enrich import History
from whowas.annotation.annotator import Choice
from whowas.annotation.run import BATCH, Form, recognised
from whowas.annotation.text.line_reader import LineReader
from whowas.annotation.text.line_times import LineTimes, Years
from whowas.annotation.text.names import Short, as_keys, beside, entry, inserted, without_names
from whowas.errors import ConfigError
from whowas.timestamps import moment_us

IP, SERVICE = b"10.244.1.20", b"10.96.12.34"
NAME = b"shop/" + WEB.encode()
ACCESS = IP + b' - - [21/Nov/2026:08:39:36 +0000] "GET /x HTTP/1.1" 200 12 "-" "curl/8.5.0.1" "10.96.12.34, 10.244.9.9"'
SYSLOG = b"Nov 21 08:39:36 worker-1 sshd[812]: Failed password for root from 10.244.1.20 port 40022 ssh2"
CEF = (
    b"<134>Nov 21 08:39:36 fw CEF:0|Acme|Wall|1.2.3.4|100|a \\| b|5|"
    b"rt=1795250376000 src=10.244.1.20 msg=a\\=b c dst=10.96.12.34"
)
LEEF = b"LEEF:1.0|Acme|Wall|1.0|41|devTime=Nov 21 2026 08:39:36 GMT+00:00\tsrc=10.244.1.20\tdst=10.96.12.34"
LEEF2 = b"LEEF:2.0|Acme|Wall|1.0|41|^|devTime=1795250376000^src=10.244.1.20^dst=10.96.12.34"
LOGFMT = (
    b'time=2026-11-21T08:39:36.5Z level=info src=10.244.1.20:443 msg="dial tcp 10.96.12.34:80: refused" version=1.2.3.4'
)
FORTINET = b'<189>date=2026-11-21 time=08:39:36 devname="fw" tz="+0000" srcip=10.244.1.20 dstip=10.96.12.34'
STYLES = st.sampled_from(["short", "json", "inline"])
LOOSE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(
    ("line", "added"),
    [
        (SYSLOG, b' whowas="%b=%b exact"' % (IP, NAME)),
        (ACCESS, b' whowas="%b=%b exact; 10.96.12.34=shop/api service; 10.244.9.9=? none"' % (IP, NAME)),
        (CEF, b" srcWhowas=%b srcWhowasConfidence=exact dstWhowas=shop/api dstWhowasConfidence=service" % NAME),
        (
            LEEF,
            b"\tsrc_whowas=%b\tsrc_whowas_confidence=exact\tdst_whowas=shop/api\tdst_whowas_confidence=service" % NAME,
        ),
        (LEEF2, b"^src_whowas=%b^src_whowas_confidence=exact^dst_whowas=shop/api^dst_whowas_confidence=service" % NAME),
        (LOGFMT, b' src_whowas=%b src_whowas_confidence=exact whowas="10.96.12.34=shop/api service"' % NAME),
        (
            FORTINET,
            b" srcip_whowas=%b srcip_whowas_confidence=exact dstip_whowas=shop/api dstip_whowas_confidence=service"
            % NAME,
        ),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_each_kind_gets_its_names_in_its_own_spelling(overlay: History, line: bytes, added: bytes, end: bytes) -> None:
    found = annotate(line + end, overlay, form=Form(year=2026), zone="UTC")
    assert found.data == line + added + end
    assert unread(found) == {}
    assert found.done.format == "text"


@pytest.mark.parametrize(
    ("line", "added"),
    [
        (
            b"CEF:0|Acme|Wall|1.2.3.4|1|a|5|rt=1795250376000 deviceVersion=1.2.3.4 msg=to 10.244.1.20 src=10.96.12.34",
            b" srcWhowas=shop/api srcWhowasConfidence=service whowas=10.244.1.20\\=%b exact" % NAME,
        ),
        (
            b"LEEF:2.0|Acme|Wall|1.0|41|^|devTime=1795250376000^msg=from 10.244.1.20",
            b"^whowas=10.244.1.20=%b exact" % NAME,
        ),
        (b"LEEF:1.0|A|W|1|4|devTime=1795250376000\tsrc=10.96.12.34 dst=", b"\twhowas=10.96.12.34=shop/api service"),
    ],
)
def test_addresses_within_a_value_are_named_by_one_key(overlay: History, line: bytes, added: bytes) -> None:
    found = annotate(line + b"\n", overlay)
    assert found.data == line + added + b"\n"


def test_mixed_lines_are_each_what_they_are_and_counted(overlay: History) -> None:
    lines = [SYSLOG, CEF, LEEF, b"", LOGFMT, b"\tat line 7 of 10.244.1.20", b"nothing here", b"{}"]
    found = annotate(b"\n".join(lines) + b"\n", overlay, form=Form(year=2026), zone="UTC")
    assert found.done.kinds == {"text": 4, "cef": 1, "leef": 1, "logfmt": 1}
    assert unread(found) == {"no time": 1}
    assert found.done.tally.without == 2
    assert found.data.split(b"\n")[5:8] == lines[5:8]


def test_no_zone_is_guessed(overlay: History) -> None:
    found = annotate(SYSLOG + b"\n", overlay, form=Form(year=2026))
    assert found.data == SYSLOG + b"\n"
    assert unread(found) == {"time without a zone": 1}
    other = annotate(SYSLOG + b"\n", overlay, form=Form(year=2026), zone="Asia/Tokyo")
    assert b"=? unknown (" in other.data


def test_the_year_that_was_taken_is_said_back(overlay: History) -> None:
    found = annotate(SYSLOG + b"\n", overlay, form=Form(year=2019), zone="UTC")
    assert found.said == ["times have no year: the first is taken for 2019, as --year says"]
    assert b"unknown" in found.data


def test_without_a_year_nobody_is_named(overlay: History) -> None:
    found = annotate(SYSLOG + b"\n", overlay, form=Form(not_after=datetime(2026, 11, 25, tzinfo=UTC)), zone="UTC")
    assert found.data == SYSLOG + b"\n"
    assert unread(found) == {"no time": 1}
    assert found.said == ["times have no year, so they name nobody; say --year, which may be 2026"]


def test_one_time_for_all_names_lines_without_one(overlay: History) -> None:
    found = annotate(b"peer 10.244.1.20 gone\n", overlay, Choice(at_us=moment_us(AT)))
    assert WEB.encode() in found.data


def test_names_as_json_and_chosen_columns(overlay: History) -> None:
    choice = Choice(columns=("pod", "confidence"))
    found = annotate(ACCESS + b"\n", overlay, choice)
    told = json.loads(found.data[len(ACCESS) + len(b" whowas=") :])
    assert told["10.244.1.20"] == {"pod": WEB, "confidence": "exact"}
    keys = annotate(CEF + b"\n", overlay, choice).data.removeprefix(CEF)
    assert keys.startswith(b" srcWhowasPod=%b srcWhowasConfidence=exact dstWhowasConfidence=" % WEB.encode())
    with pytest.raises(ConfigError, match="say --names json"):
        annotate(ACCESS + b"\n", overlay, choice, Form(names="inline"))


def test_names_within_the_line(overlay: History) -> None:
    found = annotate(SYSLOG + b"\n", overlay, form=Form(names="inline", year=2026), zone="UTC")
    assert b"from 10.244.1.20(whowas %b exact) port" % NAME in found.data
    assert without_names(found.data, "whowas") == SYSLOG + b"\n"


@pytest.mark.parametrize("form", [Form(names="inline"), Form(pattern="%s"), Form(year=2026)])
def test_what_is_for_text_is_refused_elsewhere(overlay: History, form: Form) -> None:
    with pytest.raises(ConfigError, match="it is for free text"):
        annotate(b"src_ip,timestamp\n10.244.1.20,%s\n" % AT.encode(), overlay, form=form)
    with pytest.raises(ConfigError, match="the log is ndjson"):
        annotate(b'{"src_ip":"10.244.1.20","timestamp":"%s"}\n' % AT.encode(), overlay, form=form)


def test_a_second_name_has_a_key_of_its_own(overlay: History) -> None:
    once = annotate(ACCESS + b"\n", overlay).data
    twice = annotate(once, overlay, Choice(suffix="_b")).data
    assert without_names(twice, "b") == once


@pytest.mark.parametrize("kind", ["cef", "leef", "logfmt"])
def test_a_format_that_is_told_takes_no_other(overlay: History, kind: str) -> None:
    lines = {"cef": CEF, "leef": LEEF, "logfmt": LOGFMT}
    found = annotate(b"\n".join([*lines.values(), SYSLOG]) + b"\n", overlay, form=Form(kind))
    assert found.done.tally.named == 1
    assert unread(found) == {"not of the format that was told": 3}


def test_keys_that_are_there_already_are_not_added_twice(overlay: History) -> None:
    once = annotate(CEF + b"\n", overlay).data
    found = annotate(once, overlay)
    assert found.data == once
    assert unread(found) == {"names stand there already": 1}


def test_fields_that_are_told_are_taken_and_nothing_else(overlay: History) -> None:
    lines = LOGFMT.replace(b"src=", b"other=10.96.0.10 src=") + b"\n" + ACCESS + b"\n"
    found = annotate(lines, overlay, Choice(addresses=("src",)))
    assert b"other_whowas" not in found.data
    assert found.done.tally.without == 1
    assert annotate(LOGFMT + b" when=2026-11-21T08:39:36Z\n", overlay, Choice(time="when")).done.tally.named == 1


def test_a_time_that_is_said_twice_is_none(overlay: History) -> None:
    found = annotate(LOGFMT + b" time=2026-11-21T08:39:50Z\n", overlay)
    assert unread(found) == {"time not readable": 1}


def test_a_line_that_pretends_to_be_named_gets_the_last_word(overlay: History) -> None:
    """Who may write into a log could otherwise write its names."""
    lie = SYSLOG + b' whowas="10.244.1.20=kube-system/admin exact"\n'
    for zone in ("UTC", ""):
        found = annotate(lie, overlay, form=Form(year=2026), zone=zone)
        assert without_names(found.data, "whowas") == lie
        assert found.data != lie
    assert without_names(b'x whowas=""\n', "whowas") == b"x\n"


def test_hostile_names_end_nothing() -> None:
    one = Short('a/b"; 10.1.1.1=x/y exact\x1b[2J\u202e é', "ambiguous", 'because"; \\ (x)\n')
    told = entry(one)
    assert told.isascii()
    assert told.decode().isprintable()
    assert not {b'"', b";"} & {told[at : at + 1] for at in range(len(told))}
    assert b" " not in told.partition(b" ambiguous ")[0]
    assert b")" not in beside(one)
    assert without_names(inserted("whowas", b"x 1 y", [(3, beside(one))]), "whowas") == b"x 1 y"
    hostile = [("", 'a=b\\c\x1b d\te^f"')]
    assert as_keys("cef", b" ", "src", "_whowas", hostile) == b' srcWhowas=a\\=b\\\\c\\\\x1b d\\\\te^f"'
    assert as_keys("leef", b"^", "src", "_whowas", hostile) == b'^src_whowas=a=b\\c\\x1b d\\te\\x5ef"'
    assert as_keys("logfmt", b" ", "src", "_whowas", hostile) == b' src_whowas="a=b\\\\c\\\\x1b d\\\\te^f\\""'


PIECE = st.sampled_from(
    [
        ACCESS,
        SYSLOG,
        CEF,
        LEEF,
        LOGFMT,
        IP,
        SERVICE,
        b' whowas="',
        b'"',
        b"(whowas ",
        b")",
        b"}",
        b' whowas={"',
        b" ",
        b"=",
        b"\r",
        b"\0",
        b"2026-11-21T08:39:36Z ",
        b'[21/Nov/2026:08:39:36 +0000] "',
        b"fd00:10:244:1::20",
        b"CEF:0|",
        b"|",
        b"\xff",
    ]
)


@given(st.lists(st.lists(PIECE, max_size=8).map(b"".join) | st.binary(max_size=20), max_size=6), STYLES, st.booleans())
@LOOSE
def test_without_the_names_every_byte_is_as_it_was(
    overlay: History, lines: list[bytes], style: str, last: bool
) -> None:
    data = b"\n".join(lines) + (b"\n" if last else b"")
    found = annotate(data, overlay, form=Form("text", names=style, year=2026), zone="UTC", pieces=37)
    before, after = data.split(b"\n"), found.data.split(b"\n")
    assert [without_names(line, "whowas") for line in after] == before


@given(st.lists(st.lists(PIECE, max_size=8).map(b"".join) | st.binary(max_size=20), max_size=6), STYLES)
@LOOSE
def test_of_keys_too_nothing_is_lost(overlay: History, lines: list[bytes], style: str) -> None:
    data = b"\n".join([ACCESS, *lines])
    found = annotate(data, overlay, form=Form(names=style, year=2026), zone="UTC")
    for before, after in zip(data.split(b"\n"), found.data.split(b"\n"), strict=True):
        end = b"\r" if before.endswith(b"\r") else b""
        behind = after.startswith(before.removesuffix(end)) and after.endswith(end)
        assert behind or without_names(after, "whowas") == before


def test_a_line_beyond_all_bounds_is_handed_through(overlay: History) -> None:
    long = b"2026-11-21T08:39:36Z " + b"10.244.1.20 " * (10 * BATCH // 12)
    data = ACCESS + b"\n" + long + b"\n" + ACCESS + b"\n"
    found = annotate(data, overlay, pieces=1 << 16)
    assert unread(found) == {"record too long": 1}
    assert found.data.split(b"\n")[1] == long
    assert found.data.count(NAME) == 2


def test_of_very_many_addresses_in_a_line_some_are_named_and_the_others_counted(overlay: History) -> None:
    line = b"2026-11-21T08:39:36Z " + b" ".join(b"10.244.%d.%d" % (one >> 8, one & 255) for one in range(100)) + b"\n"
    found = annotate(line, overlay)
    assert found.data.count(b"=") == 65
    assert found.done.tally.unread_addresses == 36


@pytest.mark.parametrize(
    "piece", [b'a="', b"a=", b"a=b ", b'a="\\', b"CEF:0|", b"LEEF:1.0|", b"<1>", b"[", b'] "', b"a", b"' "]
)
def test_hostile_lines_are_read_in_bounded_time(overlay: History, piece: bytes) -> None:
    """A quadratic pattern would take hours for these."""
    lines = b"\n".join([ACCESS, (piece * (1 << 19))[: 1 << 19], b"k=v k=v k=v " + (piece * (1 << 19))[: 1 << 19]])
    found = annotate(lines, overlay)
    assert found.done.tally.lines == 3


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (SYSLOG, "text"),
        (ACCESS, "text"),
        (CEF, "text"),
        (LOGFMT, "text"),
        (b"10.1.2.3\n10.4.5.6\n", "text"),
        (b"src_ip,timestamp\n10.1.2.3,2026-11-21T08:39:36Z", "csv"),
        (b"a,b\n1,2\n", "csv"),
        (b"when,who\n2026-11-21T08:39:36Z,10.1.2.3\n", "csv"),
        (b"-- begin --\n" + SYSLOG, "text"),
    ],
)
def test_text_is_told_from_tables(head: bytes, format: str) -> None:
    assert recognised(head, Choice()) == format


def test_the_samples_are_named_as_their_flow_logs_are(overlay: History, root: Path) -> None:
    """The same connections in three logs: who is told as exact must be the same one in each."""
    flows = annotate((root / "samples/annotate/eve.json").read_bytes(), overlay).objects()
    named = [one["src_ip_whowas"] for one in flows if "src_ip_whowas" in one]
    pods = {f"{one['namespace']}/{one['pod']}" for one in named if one.get("pod")}
    for name, zone in (("access.log", ""), ("syslog.log", "UTC")):
        found = annotate((root / "samples/annotate" / name).read_bytes(), overlay, form=Form(year=2026), zone=zone)
        assert unread(found) == {}
        told = {one for line in found.data.decode().splitlines() for one in re.findall(r"=(\S+) exact", line)}
        assert told
        assert {one.partition("/")[2] for one in told} <= {one.partition("/")[2] for one in pods} | {
            answer["pod"] for one in flows for answer in [one.get("dest_ip_whowas", {})] if answer.get("pod")
        }


def test_text_in_a_containers_log_has_its_names_behind(overlay: History) -> None:
    line = b"2026-11-21T08:39:36.123456789Z stdout F " + ACCESS
    found = annotate(line + b"\n" + line + b"\n", overlay)
    assert without_names(found.data.split(b"\n")[0], "whowas") == line
    assert NAME in found.data


def test_the_command_takes_what_is_for_text(root: Path, tmp_path: Path) -> None:
    log = tmp_path / "odd.log"
    log.write_bytes(b"[x] 21.11.2026 08:39:36 peer 10.244.1.20 and 1.2.3.4\n[x] nothing\n")
    history = str(root / "samples/overlay/history.jsonl.gz")
    words = ["annotate", str(log), "-H", history, "--timezone", "UTC", "--time-pattern", "%d.%m.%Y %H:%M:%S", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "whowas", *words, "--names", "inline"], cwd=root, capture_output=True, check=False
    )
    told = json.loads(done.stderr.splitlines()[-1])
    assert b"peer 10.244.1.20(whowas %b exact) and 1.2.3.4(whowas ? " % NAME in done.stdout
    assert without_names(done.stdout.split(b"\n")[0], "whowas") == log.read_bytes().split(b"\n")[0]
    assert (told["format"], told["kinds"], told["lines"], told["named"]) == ("text", {"text": 2}, 2, 1)
    assert done.returncode == 0


def test_blank_lines_are_no_objects_of_their_own() -> None:
    reader = LineReader(Choice(), LineTimes(Years()), "")
    block = b"\n \r\n" + b"from 10.1.2.3\r\n" + b"\n" * 1000 + b"\t\n  b \r"
    before, lines = reader.lines(block)
    assert [line.body for line in lines] == [b"from 10.1.2.3", b"  b "]
    assert before + b"".join(line.body + line.end for line in lines) == block
    assert reader.lines(b"\n" * 1000) == (b"\n" * 1000, [])
    assert reader.lines(b"") == (b"", [])
