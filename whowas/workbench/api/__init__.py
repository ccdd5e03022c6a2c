"""What the page asks and what it is told: every question and answer as a type.

`web/generate.py` makes `web/src/api.ts` of this module, and a test holds the two together.

Endpoints
---------
Static files are given to anybody; they hold no data. Everything below `/api/` wants `Authorization: Bearer TOKEN`, the
token of the URL that `whowas serve` prints (after `#`, so that it is in no log). Questions are POSTed as JSON with
`Content-Type: application/json`, although they change nothing: filters are long, and stay out of logs and histories.

| endpoint | asks | tells | answered from |
|---|---|---|---|
| `GET /api/status` | | `Status` | what is there, which hours are ready; ask again while `building` |
| `POST /api/check` | `Check` | `Checked` | the filter itself: where it is wrong, what it reads |
| `POST /api/overview` | `OverviewAsk` | `Overview` | roll-ups: the four below in one |
| `POST /api/histogram` | `HistogramAsk` | `Histogram` | roll-ups |
| `POST /api/ends` | `Question` | `Ends` | roll-ups |
| `POST /api/talkers` | `TopAsk` | `Talkers` | roll-ups |
| `POST /api/changes` | `ChangesAsk` | `Changes` | roll-ups |
| `POST /api/map` | `MapAsk` | `ServiceMap` | roll-ups; by node, pod or label: flows |
| `POST /api/gaps` | `Question` | `Gaps` | the history |
| `POST /api/who` | `WhoAsk` | `Who` | the history; its flows from roll-ups |
| `POST /api/evidence` | `EvidenceAsk` | `Evidence` | the evidence that the history is made of |
| `POST /api/shared` | `TopAsk` | `SharedAddresses` | roll-ups |
| `POST /api/flows` | `FlowsAsk` | `Flows` | flows |
| `POST /api/facets` | `FacetsAsk` | `Facets` | roll-ups; other columns: flows |
| `POST /api/flow` | `FlowAsk` | `Flow` | flows |
| `POST /api/commands` | `Question` | `Commands` | the filter itself |
| `POST /api/export` | `ExportAsk` | a file | flows |
| `POST /api/report` | `ReportAsk` | a file | all of the above |
| `POST /api/findings` | `FindingsAsk` | `Findings` | findings and notes |
| `POST /api/finding` | `FindingAsk` | `Finding` | findings and notes |
| `POST /api/note` | `NoteAsk` | `Noted` | writes; 409 with the newer `Noted` when `revision` is old |

Errors: a JSON `Problem` with status 400 (the question), 401 (the token), 403 (another origin), 404, 405, 409 (the
revision), 413, 415, 421 (the Host), 503 (nothing of that kind is served, or too many questions wait), 504 (the time
limit). A question whose client leaves is cancelled.

Units
-----
Times are whole microseconds since 1970, UTC: numbers, which JavaScript holds exactly until the year 2255. A range holds
`since <= start_time < until`. A flow counts in the moment it starts. `flows` are rows, `bytes` are bytes_out + bytes_in
as they were counted (see counter_layer; not scaled by sampling_rate; nothing for a direction that no record tells).
`packets` alike. Counts beyond 2^53 lose their last digits in JavaScript.

A name never stands without its confidence: every group of names holds ends of one confidence alone, so one workload may
be several rows, one for each word. Nothing here adds a likely name to an exact one; the page may draw them together.
"""

from __future__ import annotations

from whowas.workbench.api.common import Asked, Check, Checked, Commands, Question, Status, Told
from whowas.workbench.api.common import Problem as Problem
from whowas.workbench.api.findings import Finding, FindingAsk, Findings, FindingsAsk, NoteAsk, Noted
from whowas.workbench.api.flows import ExportAsk, Facets, FacetsAsk, Flow, FlowAsk, Flows, FlowsAsk, ReportAsk
from whowas.workbench.api.map import MapAsk, ServiceMap
from whowas.workbench.api.overview import (
    Changes,
    ChangesAsk,
    Ends,
    Histogram,
    HistogramAsk,
    Overview,
    OverviewAsk,
    Talkers,
    TopAsk,
)  # fmt: skip
from whowas.workbench.api.who import Evidence, EvidenceAsk, Gaps, SharedAddresses, Who, WhoAsk

ENDPOINTS: dict[str, tuple[str, type[Asked] | None, type[Told] | None]] = {
    "/api/status": ("GET", None, Status),
    "/api/check": ("POST", Check, Checked),
    "/api/overview": ("POST", OverviewAsk, Overview),
    "/api/histogram": ("POST", HistogramAsk, Histogram),
    "/api/ends": ("POST", Question, Ends),
    "/api/talkers": ("POST", TopAsk, Talkers),
    "/api/changes": ("POST", ChangesAsk, Changes),
    "/api/map": ("POST", MapAsk, ServiceMap),
    "/api/gaps": ("POST", Question, Gaps),
    "/api/who": ("POST", WhoAsk, Who),
    "/api/evidence": ("POST", EvidenceAsk, Evidence),
    "/api/shared": ("POST", TopAsk, SharedAddresses),
    "/api/flows": ("POST", FlowsAsk, Flows),
    "/api/facets": ("POST", FacetsAsk, Facets),
    "/api/flow": ("POST", FlowAsk, Flow),
    "/api/commands": ("POST", Question, Commands),
    "/api/export": ("POST", ExportAsk, None),
    "/api/report": ("POST", ReportAsk, None),
    "/api/findings": ("POST", FindingsAsk, Findings),
    "/api/finding": ("POST", FindingAsk, Finding),
    "/api/note": ("POST", NoteAsk, Noted),
}
"""Path: method, what is asked, what is told (None: a file)."""

__all__ = ["ENDPOINTS", "Asked", "Check", "Checked", "Problem", "Status", "Told"]
