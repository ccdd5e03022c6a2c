"""Kernel: where the items of a JSON list end. It looks at brackets, texts and commas; decoders look at the rest."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes
from whowas.arrays import Words
from whowas.kernels import kernel

MORE, ENDED, BROKEN = 0, 1, 2
# What is known between two blocks: how deep it is, in a text, behind a backslash; the last byte that is no blank and in
# no text; whether a line has just begun.
DEPTH, IN_TEXT, ESCAPED, LAST, FRESH, STATE = 0, 1, 2, 3, 4, 5


@kernel
def cut_items(data: Bytes, at: int, state: Words, cuts: Words) -> tuple[int, int, int]:
    """Go on from data[at]. Depth 0 is inside of the list.

    cuts: filled with the places of commas at depth 0; of the closing bracket too, at ENDED.
    Returns: (place behind what was looked at, how many cuts, MORE or ENDED or BROKEN). BROKEN: at the place a line
    begins with an object where none can be: the value before it did not end.
    """
    depth, in_text, escaped, last, fresh = state[DEPTH], state[IN_TEXT], state[ESCAPED], state[LAST], state[FRESH]
    count, verdict = 0, MORE
    while at < len(data) and count < len(cuts):
        c = data[at]
        if c == 123 and fresh and (in_text or (last != 44 and last != 91 and last != 58)):
            verdict = BROKEN
            break
        fresh = 1 if c == 10 else 0
        if in_text:
            if escaped:
                escaped = 0
            elif c == 92:
                escaped = 1
            elif c == 34:
                in_text, last = 0, 34
        elif c > 32:
            last = int(c)
            if c == 34:
                in_text = 1
            elif c == 44 and depth == 0:
                cuts[count] = at
                count += 1
            elif c == 123 or c == 91:
                depth += 1
            elif c == 125 or c == 93:
                depth -= 1
                if depth < 0:
                    cuts[count] = at
                    count, at, verdict = count + 1, at + 1, ENDED
                    break
        at += 1
    state[DEPTH], state[IN_TEXT], state[ESCAPED], state[LAST], state[FRESH] = depth, in_text, escaped, last, fresh
    return at, count, verdict
