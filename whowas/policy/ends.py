"""The ends that a person names: a pod or workload, a node, an address, each as it was at a moment."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from detect.policy.moments import Holder
from enrich.history.history import ClusterHistory
from enrich.holds.derive import NODE, POD
from whowas.addresses import address16, is_address, spelled
from whowas.errors import ConfigError

PORT = re.compile(r"(?P<end>.+?):(?P<port>\d{1,5}|[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?)(/(?P<protocol>[a-z]+))?")
FORM = "write it like data/db:5432, data/db:53/udp, 10.0.0.7:443 or [2001:db8::7]:443"
MOST_PORT = 65_535
Rows = npt.NDArray[np.int64]


class Target(NamedTuple):
    """What `--to` names. port: a number, "" with a word for the name of one, None where there is none."""

    end: str
    port: int | None
    port_name: str
    protocol: str


def read_target(text: str) -> Target:
    """Read END:PORT[/PROTOCOL], or END alone for protocols without ports. Raises: ConfigError."""
    if is_address(text):
        raise ConfigError(f"cannot use --to '{text[:80]}': it names no port; {FORM}")
    found = PORT.fullmatch(text)
    if found is None:
        raise ConfigError(f"cannot use --to '{text[:80]}': it names no port; {FORM}")
    end, port, protocol = found["end"].strip("[]"), found["port"], found["protocol"] or "tcp"
    if protocol not in ("tcp", "udp", "sctp"):
        raise ConfigError(f"cannot use --to '{text[:80]}': '{protocol}' has no ports; say tcp, udp or sctp")
    if not port.isdigit():
        return Target(end, None, port, protocol)
    if not 0 < int(port) <= MOST_PORT:
        raise ConfigError(f"cannot use --to '{text[:80]}': {port} is no port; {FORM}")
    return Target(end, int(port), "", protocol)


def holders(known: ClusterHistory, text: str, at_us: int) -> list[Holder]:
    """Return who an end was at a moment: of a workload all its pods.

    Raises: ConfigError where nobody of the name was there.
    """
    address = address16(text) if is_address(text) else None
    if address is not None:
        return _at_address(known, address, at_us) or [Holder(address=address, name=spelled(address))]
    kind, _, name = text.rpartition("/")
    if kind in ("node", "no", "nodes"):
        found = _held(
            known, [row for row, one in enumerate(known.entities) if one.kind == NODE and one.name == name], at_us
        )
    elif kind:
        space = kind.rsplit("/", 1)[-1]
        rows = [
            row
            for row, one in enumerate(known.entities)
            if one.namespace == space and one.kind <= POD + 1 and name in (one.name, one.workload)
        ]
        found = _held(known, rows, at_us)
    else:
        raise ConfigError(f"cannot tell who '{text[:80]}' is: write namespace/pod, namespace/workload or an address")
    if not found:
        raise ConfigError(
            f"cannot find '{text[:80]}' at that moment: no pod or workload of that name held an address then; "
            f"'whowas who {text[:80]}' says when one did"
        )
    return found


def _at_address(known: ClusterHistory, address: bytes, at_us: int) -> list[Holder]:
    rows = np.array(known.rows_on(address), dtype=np.int64)
    return _told(known, rows[_then(known, rows, at_us)])


def _held(known: ClusterHistory, entities: list[int], at_us: int) -> list[Holder]:
    rows = np.flatnonzero(np.isin(known.entity_of, np.array(entities, dtype=np.int64)))
    return _told(known, rows[_then(known, rows, at_us)])


def _then(known: ClusterHistory, rows: Rows, at_us: int) -> npt.NDArray[np.bool_]:
    bounds = known.bounds[rows]
    mask: npt.NDArray[np.bool_] = (bounds[:, 0] <= at_us) & (at_us < bounds[:, 3])
    return mask


def _told(known: ClusterHistory, rows: Rows) -> list[Holder]:
    """Make holders of rows of holds; each pod with one address, IPv4 before IPv6."""
    found: dict[str, Holder] = {}
    for row in rows.tolist():
        hold = known.holds[row]
        one = known.entities[hold.entity]
        if one.kind not in (POD, POD + 1, NODE):
            continue
        pod = one.kind != NODE
        made = Holder(one.uid if pod else "", hold.ip, "" if pod else one.name, one.full_name())
        before = found.get(one.uid)
        if before is None or (before.address or b"") > hold.ip:
            found[one.uid] = made
    return sorted(found.values(), key=lambda one: one.name)
