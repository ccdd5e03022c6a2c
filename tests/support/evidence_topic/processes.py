"""Processes that are going to be killed: one tells numbered observations from its cursor on, one keeps a replica."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from support.evidence_topic.teller import Teller
from support.store.written import numbered

from whowas.evidence_topic import Replica, TopicSettings

KILLS = int(os.environ.get("WHOWAS_KILLS", "4"))
TOTAL = 1500 * KILLS


def tell(path: str, settings: TopicSettings) -> None:
    """Tell what is left of TOTAL, as fast as it is taken; say when the topic has it all."""
    with Teller(Path(path), settings) as teller:
        cursor = teller.cursors["c"].get("Pod")
        for number in range(int(cursor.version) if cursor else 0, TOTAL, 5):
            teller.tell(numbered(5, number))
            time.sleep(0.01)
        teller.settle(120)
        print("told", flush=True)
        time.sleep(3600)


def keep(path: str, settings: TopicSettings) -> None:
    """Keep a replica for ever."""
    with Replica(path, settings):
        print("begun", flush=True)
        time.sleep(3600)


if __name__ == "__main__":
    what, where, told = sys.argv[1:]
    {"tell": tell, "keep": keep}[what](where, TopicSettings(**json.loads(told)))
