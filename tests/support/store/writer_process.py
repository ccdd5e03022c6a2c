"""A recorder that is going to be killed: writes numbered observations from the cursor on, and says what is durable."""

from __future__ import annotations

import sys

from support.store.written import numbered

from enrich.store.evidence_store import EvidenceStore
from enrich.store.packing import pack


def main(path: str) -> None:
    """Write, pack, say; for ever."""
    with EvidenceStore(path, write=True) as store:
        cursor = store.cursors("c").get("Pod")
        number = int(cursor.version) if cursor else 0
        print("begun", number, flush=True)
        for turn in range(1 << 20):
            size = (7, 1, 50)[turn % 3]
            store.write(numbered(size, number))
            number += size
            print("durable", number, flush=True)
            if turn % 5 == 4:
                pack(store.database, settled_us=0, budget_seconds=0.05)


if __name__ == "__main__":
    main(sys.argv[1])
