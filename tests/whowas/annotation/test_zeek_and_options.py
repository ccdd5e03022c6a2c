"""Zeek's logs in all their forms, and what the options change."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.annotating import AT, AT_S, WEB, annotate, unread

from enrich import History, NamingOptions, Network
from enrich.naming.networks import Net
from whowas.annotation.annotator import Choice
from whowas.cli import group

POD = Choice(columns=("pod", "confidence"))
CONN = b"#separator \\x09\n#fields\tts\tid.orig_h\tnote\n#types\ttime\taddr\tstring\n"


def line(address: str = "10.244.1.20", time: float = AT_S, note: str = "x", by: str = "\t") -> bytes:
    return by.join([str(time), address, note]).encode() + b"\n"


def test_logs_one_behind_another_have_a_header_each(overlay: History) -> None:
    dns = b"#close\t2026\n#fields\tts\tquery\taddr\n#types\ttime\tstring\taddr\n%d\twho\t10.244.1.20\n" % AT_S
    stats = b"#fields\tts\tmem\n#types\ttime\tcount\n%d\t7\n" % AT_S
    found = annotate(CONN + line() + dns + stats + CONN + line(), overlay, POD)
    lines = found.data.decode().splitlines()
    assert lines[1].endswith("\tnote\tid.orig_h_whowas_pod\tid.orig_h_whowas_confidence")
    assert lines[2] == "#types\ttime\taddr\tstring\tstring\tstring"
    assert [one for one in lines if WEB in one] == [lines[3], lines[7], lines[-1]]
    assert lines[7].endswith(f"\twho\t10.244.1.20\t{WEB}\texact")
    # A log without addresses stays as it is.
    assert lines[8:11] == stats.decode().splitlines()
    assert found.done.tally.without == 1
    assert found.said[:2] == ["Zeek: addresses in id.orig_h", "Zeek: addresses in addr"]


def test_what_is_not_set_stays_so(overlay: History) -> None:
    head = CONN.replace(b"#fields", b"#unset_field\tNONE\n#fields")
    found = annotate(head + line("NONE") + line("10.244.1.99") + line("nobody") + b"1\t2\n" + b"\n", overlay, POD)
    assert found.data.decode().splitlines()[4:] == [
        f"{AT_S}\tNONE\tx\tNONE\tNONE", f"{AT_S}\t10.244.1.99\tx\tNONE\tnone", f"{AT_S}\tnobody\tx\tNONE\tNONE",
        "1\t2", "",
    ]  # fmt: skip
    assert unread(found) == {"address not readable": 1, "other columns than the header has": 1}


def test_another_separator_and_no_types(overlay: History) -> None:
    data = b"#separator |\n#fields|ts|id.orig_h|note\n" + line(by="|") + b"#close|x\n"
    found = annotate(data, overlay, POD, pieces=5)
    assert found.data.decode().splitlines()[2].endswith(f"|x|{WEB}|exact")


def test_the_header_alone_is_kept(overlay: History) -> None:
    for head in (CONN, CONN[: CONN.index(b"#types")]):
        assert annotate(head, overlay, POD).data.startswith(head[:-1].split(b"#types")[0][:-1])


def test_a_list_of_addresses_gets_a_list_of_names(overlay: History) -> None:
    record = {"requestReceivedTimestamp": AT, "sourceIPs": ["10.244.1.20", "not one", "10.96.0.10"]}
    found = annotate(json.dumps(record).encode(), overlay, POD)
    (told,) = found.objects()
    assert told["sourceIPs_whowas"] == [
        {"pod": WEB, "confidence": "exact"}, None, {"confidence": "service"},
    ]  # fmt: skip
    assert found.done.tally.unread_addresses == 1
    many = annotate(json.dumps(record | {"sourceIPs": ["10.244.1.20"] * 65}).encode(), overlay, Choice(("sourceIPs",)))
    assert unread(many) == {"address not readable": 1}
    assert (
        annotate(json.dumps(record | {"sourceIPs": []}).encode(), overlay, Choice(("sourceIPs",))).done.tally.without
        == 1
    )


def test_networks_and_skew_count_as_everywhere(overlay: History) -> None:
    record = json.dumps({"src_ip": "203.0.113.10", "dest_ip": "10.244.1.20", "timestamp": AT}).encode()
    net: Net = ip_network("203.0.113.0/24")
    options = NamingOptions(networks=(Network("bank", net),), sensor_skew_seconds=60)
    (told,) = annotate(record, overlay, naming=options).objects()
    assert told["src_ip_whowas"]["workload"] == "bank"
    assert told["dest_ip_whowas"]["confidence"] == "ambiguous"


def test_a_field_that_is_told_twice_is_named_once(overlay: History) -> None:
    found = annotate(b'{"a":"10.244.1.20","ts":"%s"}' % AT.encode(), overlay, Choice(addresses=("a", "a"), time="ts"))
    assert found.data.count(b"a_whowas") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x"], "cannot name without a history"),
        (["x", "-H", "HISTORY", "--wait", "5"], "cannot wait for files of evidence"),
        (["x", "-H", "HISTORY", "--timezone", "Mars"], "cannot use the zone 'Mars'"),
        (["x", "-H", "HISTORY", "--at", "yesterday"], "cannot read the time 'yesterday'"),
        (["x", "-H", "HISTORY", "--at", AT, "--time", "ts"], "exclude each other"),
        (["x", "-H", "HISTORY", "--columns", "podd"], "cannot add column 'podd'"),
        (["x", "-H", "HISTORY", "--cluster", "prod"], "cannot use cluster 'prod'"),
        (["missing", "-H", "HISTORY"], "cannot read 'missing': no such file"),
    ],
)
def test_what_cannot_be_honoured_is_refused_before_the_first_line(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text('{"src_ip":"10.244.1.20"}\n')
    history = str(root / "samples" / "overlay" / "history.jsonl.gz")
    found = CliRunner().invoke(group, ["annotate", *(history if word == "HISTORY" else word for word in words)])
    assert found.exit_code
    assert message in (found.output + str(found.exception))
    assert "src_ip" not in found.stdout
