"""The whole file: head, policy, style, parts. No script, no style attribute, nothing from outside."""

from __future__ import annotations

import base64
import hashlib

from whowas.workbench.commands import Places
from whowas.workbench.report import evidence, policies, sections
from whowas.workbench.report.gather import Gathered
from whowas.workbench.report.markup import Html, cut, moment, tag

STYLE = """
:root{color-scheme:light}
body{font:14px/1.45 system-ui,sans-serif;color:#1b1f24;background:#fff;max-width:1100px;margin:0 auto;padding:16px}
h1{font-size:22px;margin:0 0 4px}h2{font-size:18px;margin:28px 0 8px;border-bottom:1px solid #d0d7de}
h3{font-size:15px;margin:18px 0 6px}h4{font-size:14px;margin:12px 0 4px}
p,dd,li,h1,h3{overflow-wrap:anywhere}td{overflow-wrap:break-word;max-width:340px}th{white-space:nowrap}
table{border-collapse:collapse;font-size:13px}th,td{border:1px solid #d0d7de;padding:3px 7px;text-align:left;
vertical-align:top}th{background:#f3f5f7}.n{text-align:right;white-space:nowrap}.wide{overflow-x:auto;margin:6px 0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:8px 0}dt{color:#57606a}dd{margin:0}
pre{background:#f3f5f7;border:1px solid #d0d7de;padding:8px;white-space:pre-wrap;overflow-wrap:anywhere}
code,pre{font:12.5px/1.4 ui-monospace,monospace}.legend{list-style:none;padding:0;columns:2;font-size:12px}
.key svg,.legend svg{vertical-align:middle}small{color:#57606a}article{border-left:3px solid #d0d7de;padding-left:12px}
.sure{border:1px solid #57606a;border-radius:3px;padding:0 4px;font-size:11.5px;white-space:nowrap}
.exact{border:2px solid #15653a}.likely{border-color:#3b8f5f}.ambiguous{border:2px dashed #b35900}
.snat{border-style:dashed;border-color:#8a5a00}.none{border-style:dotted;border-color:#8a2d60}
.unknown{border:2px dotted #b00020}details{margin:6px 0}summary{cursor:pointer;color:#245a8d}
@media print{body{max-width:none;padding:0}section,article{break-inside:auto}tr,svg{break-inside:avoid}
.wide{overflow:visible}svg{max-width:100%;height:auto}pre{font-size:11px}}
"""


def policy() -> str:
    """What a browser may do with the file: show it."""
    made = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{made}'; img-src data:; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def write(made: Gathered, time_us: int, places: Places) -> str:
    """The file as text. time_us: when it is made. places: flows, history, findings as commands name them."""
    about = made.whole[0].finding.row.title if made.wish.finding and made.whole else made.wish.filter or "all flows"
    title = f"whowas report: {cut(about)}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=Html(policy())),
        tag("meta", name="viewport", content="width=device-width"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    body = tag(
        "body",
        tag("h1", title),
        tag("p", f"Made {moment(time_us, 0)} by whowas {made.status.version}. Every time is UTC."),
        sections.summary(made),
        evidence.findings(made),
        evidence.who(made),
        sections.over_time(made),
        sections.the_map(made),
        policies.what_policies_say(made.verdicts, len(made.status.clusters) > 1),
        sections.top_edges(made),
        sections.how_sure(made),
        sections.not_seen(made),
        sections.commands(made, places),
        sections.versions(made, time_us),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"
