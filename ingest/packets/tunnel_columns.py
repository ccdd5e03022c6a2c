"""Text of tunnel chains and lists of VLAN ids, from the numbers that the decoder packs them into."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ingest.packets.layout import TUNNEL_BITS, TUNNEL_WORDS, TUNNELS_KEPT, VLANS_KEPT
from whowas.arrays import Words
from whowas.schema import NUMBER


def spell_tunnels(codes: int) -> str:
    """Chain of tunnels, outermost first."""
    steps = [codes >> (TUNNEL_BITS * place) & 63 for place in range(TUNNELS_KEPT - 1, -1, -1)]
    return ">".join(TUNNEL_WORDS[code] for code in steps if code)


def vlan_lists(tags: Words) -> Any:
    """List column of VLAN ids, null where there is none."""
    counts = (tags >> 60).astype(np.int32)
    ids = (tags[:, None] >> (12 * np.arange(VLANS_KEPT))) & 0xFFF
    values = ids[np.arange(VLANS_KEPT) < counts[:, None]].astype(np.int32)
    offsets = np.zeros(len(tags) + 1, dtype=np.int32)
    np.cumsum(counts, out=offsets[1:])
    absent = pa.array(counts == 0) if len(tags) else None
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, NUMBER), mask=absent)
