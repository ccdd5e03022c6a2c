"""Cut evidence down to the few lines that still give the wrong answer.

All lines of the pod that was named and of the one that held the address stay: without them another story is told.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from bench.churn.asking import Answer, ask, history_of
from bench.churn.questions import Question
from bench.churn.scoring import outcome
from bench.churn.story import Played
from whowas.errors import WhowasError

Wrong = Callable[[list[str]], bool]


def minimal(played: Played, question: Question, said: Answer) -> list[str]:
    """Return fewest lines, in their order, after which `question` is still answered as wrongly."""
    kind = outcome(question, said)

    uids = [*(question.holder.uids if question.holder else ()), *([said.uid] if said.uid else ())]

    def still(lines: list[str]) -> bool:
        try:
            history, _ = history_of(lines)
            answer = ask(history, [question], played.skew_us)[0]
        except WhowasError:
            return False
        return outcome(question, answer) == kind and (answer.word, answer.uid) == (said.word, said.uid)

    near = [line for line in played.lines if _about(line, question)]
    lines = near if still(near) else played.lines
    return _shrink(
        lines, still, [line for line in lines if '"object":{"kind":"Pod"' in line and any(uid in line for uid in uids)]
    )


def _about(line: str, question: Question) -> bool:
    """Lines of pods that were ever shown with the address, of its holder, and of the looking itself."""
    uids = question.holder.uids if question.holder else []
    told = f'"cluster":"{question.cluster}"' in line or '"GAP"' in line
    return told and ('"BOOKMARK"' in line or '"GAP"' in line or '"Node"' in line or f'"{question.ip}"' in line
                     or any(uid in line for uid in uids))  # fmt: skip


def _shrink(lines: list[str], still: Wrong, fixed: list[str]) -> list[str]:
    """Leave out halves, quarters, …, single lines, as long as the answer stays wrong."""
    kept = set(fixed)
    size = max(len(lines) // 2, 1)
    while True:
        place, smaller = 0, False
        while place < len(lines):
            part = lines[place : place + size]
            fewer = [*lines[:place], *(one for one in part if one in kept), *lines[place + size :]]
            if 0 < len(fewer) < len(lines) and still(fewer):
                lines, smaller = fewer, True
            else:
                place += size
        if size == 1 and not smaller:
            return lines
        size = max(size // 2, 1)


def plainly(line: str) -> str:
    """One evidence line as people read it: what was seen when, and what of it bounds a hold."""
    one = json.loads(line)
    thing = one.get("object")
    if not thing:
        return f"{one['type']} {one.get('from', '')} .. {one.get('to', '')}"
    meta, status = thing.get("metadata") or {}, thing.get("status") or {}
    said = [f"{one['type']:9}{one['received'][11:26]} {thing['kind']} {meta.get('uid', '')}"]
    for word, value in (("created", meta.get("creationTimestamp")), ("deletion", meta.get("deletionTimestamp"))):
        said += [f"{word} {value[11:19]}"] if value else []
    if meta.get("deletionTimestamp"):
        said.append(f"grace {meta.get('deletionGracePeriodSeconds')}")
    if thing["kind"] == "Pod" and status:
        said.append(f"{status.get('phase')} ip {status.get('podIP')}")
        said += [f"{each['type']}={each.get('status')} {each.get('lastTransitionTime', '')[11:19]}"
                 for each in status.get("conditions") or () if each["type"] == "PodReadyToStartContainers"]  # fmt: skip
        for box in status.get("containerStatuses") or ():
            said.append(f"restarts {box['restartCount']} {_state(box['state'])}")
            said += [f"before: {_state(box['lastState'])}"] if box.get("lastState") else []
    if meta.get("annotations"):
        said.append(json.dumps(meta["annotations"]))
    return ", ".join(said)


def _state(state: dict[str, dict[str, str]]) -> str:
    for word, told in state.items():
        times = [told[name][11:19] for name in ("startedAt", "finishedAt") if told.get(name)]
        return f"{word} {' .. '.join(times)}".strip()
    return ""
