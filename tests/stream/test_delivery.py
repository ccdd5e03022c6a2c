"""Records through a real broker to Parquet: each once, whatever is killed when. On both clients.

WHOWAS_KILLS and WHOWAS_FLOWS say how often and how many; `make soak` kills a hundred times during a million.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

from servers.broker import Broker
from stream.conftest import Start
from stream.flow_records import count, produce, record, serials
from stream.workers import wait_until

KILLS = int(os.environ.get("WHOWAS_KILLS", "20"))
FLOWS = int(os.environ.get("WHOWAS_FLOWS", "50000"))


def test_every_record_comes_out_once(broker: Broker, topic: str, start: Start, tmp_path: Path) -> None:
    produce(broker, topic, map(record, range(5000)))
    worker = start()
    wait_until(lambda: count(tmp_path / "named") >= 5000, worker)
    assert worker.stop() == 0, worker.told()
    assert serials(tmp_path / "named") == dict.fromkeys(range(5000), 1)
    last = worker.lines()[-1]
    assert (last["received"], last["delivered"], last["held_records"]) == (5000, 5000, 0)
    assert sum(broker.committed(f"group-{topic}", topic, 3)) == 5000
