"""How captures are read, as users say it."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.packets.decode import OPENED, OPENED_BY_DEFAULT
from ingest.packets.observing import WATCHES
from whowas.errors import ConfigError

COUNTS = ("once", "every")


@dataclass(frozen=True)
class PacketOptions:
    """How captures are read.

    idle_timeout_seconds: silence that ends a conversation. active_timeout_seconds: a longer one is cut into
    rows; 0 = never. Both by the packets' times. max_conversations: open at once; beyond that rows are written
    out early (table_full). batch_rows: rows of a batch at most. continuous: the files are one capture that
    was rotated, so that a conversation may go on in the next file. tunnels: what is opened, words of decode.OPENED.
    count: a conversation that several points of observation saw gives one row (once), or one of each (every).
    observe: which names are looked for in first payloads, words of observing.WATCHES.
    """

    vxlan_ports: tuple[int, ...] = (4789, 8472)
    geneve_ports: tuple[int, ...] = (6081,)
    idle_timeout_seconds: float = 120.0
    active_timeout_seconds: float = 1800.0
    max_conversations: int = 1 << 20
    batch_rows: int = 1 << 15
    continuous: bool = False
    tunnels: tuple[str, ...] = OPENED_BY_DEFAULT
    count: str = "once"
    observe: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for port in (*self.vxlan_ports, *self.geneve_ports):
            if not 0 < port < 1 << 16:
                raise ConfigError(f"cannot use tunnel port {port}: not a UDP port; say a number from 1 to 65535")
        unknown = [word for word in self.tunnels if word not in OPENED]
        if unknown:
            raise ConfigError(f"cannot open tunnels of kind '{unknown[0]}': not known; say some of {', '.join(OPENED)}")
        if self.count not in COUNTS:
            raise ConfigError(f"cannot count '{self.count}': unknown word; say one of {', '.join(COUNTS)}")
        strange = [word for word in self.observe if word not in WATCHES]
        if strange:
            raise ConfigError(f"cannot observe '{strange[0]}': not known; say some of {', '.join(WATCHES)}")
        shared = set(self.vxlan_ports) & set(self.geneve_ports)
        if shared:
            raise ConfigError(f"cannot use port {min(shared)} for two kinds of tunnel; give it to one of them")
        if not 0 < self.idle_timeout_seconds < 10**9 or not 0 <= self.active_timeout_seconds < 10**9:
            raise ConfigError(
                "cannot use such timeouts: idle must be above 0, active 0 or above, both below 10^9 seconds"
            )
        if not 1 <= self.max_conversations <= 1 << 27 or self.batch_rows < 1:
            raise ConfigError("cannot use such bounds: max_conversations must be 1 to 2^27, batch_rows at least 1")
