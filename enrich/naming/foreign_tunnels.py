"""Tunnels that tell no VNI: whose network is inside?"""

from __future__ import annotations

from typing import Any

import numpy as np

from whowas.arrays import Flags

# Not of pod networks but of tenants, customers and subscribers, who may all use the cluster's addresses.
FOREIGN = frozenset(("gre", "gtp", "l2tp", "pppoe", "mpls", "nsh", "etherip", "ieee8021ah", "teredo"))
# A mirror of this very network travels in GRE.
MIRRORED = ("gre", "erspan")


def _foreign(chain: str | None) -> bool:
    words = (chain or "").split(">")
    for place in range(len(words) - 1):
        if tuple(words[place : place + 2]) == MIRRORED:
            words[place] = ""
    return not FOREIGN.isdisjoint(words)


def of_others(tunnels: Any) -> Flags:
    """Say which flows are inside a tunnel that others than the cluster's nodes may have made.

    Args: tunnels: dictionary column of chains.
    """
    told = np.array([*map(_foreign, tunnels.dictionary.to_pylist()), False])
    found: Flags = told[tunnels.indices.fill_null(len(told) - 1).to_numpy(zero_copy_only=False)]
    return found
