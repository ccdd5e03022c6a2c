"""Named flows of a cluster in which workloads talk to the same few others all day, and one in a thousand is odd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from cluster_day import DAY_US, make_day
from name_flows import HOLDS, SLOTS, history, traffic

ODD = 0.001
PARTNERS = 5
PORTS = np.array([443, 8443, 9443, 50051], np.uint16)
ODD_PORTS = np.array([22, 23, 445, 2375, 3333, 3389, 5432, 6379, 10250], np.uint16)
ANSWERED, REFUSED = 27, 22


def ordinary(rows: int, batches: int, seed: int = 2) -> Iterator[Any]:
    """Flows as in name_flows, but each end has a few partners, and nearly all are answered."""
    random = np.random.default_rng(seed)
    partners = random.integers(0, SLOTS, (SLOTS, PARTNERS))
    ports = random.choice(PORTS, (SLOTS, PARTNERS))
    for batch in traffic(rows, batches, "uniform", seed):
        yield _talk(random, batch, partners, ports)


def _talk(random: Any, batch: Any, partners: Any, ports: Any) -> Any:
    rows = batch.num_rows
    # Rows of the batch whose source is a certain pod: a flow to it takes that row's addresses.
    source = batch.column("src_ip")
    codes = source.indices.to_numpy()
    place = np.zeros(len(source.dictionary), np.int64)
    place[codes] = np.arange(rows)
    choice = random.integers(0, PARTNERS, rows)
    to = place[partners[codes % SLOTS, choice] % len(place)]
    odd = random.random(rows) < ODD
    port = np.where(odd, random.choice(ODD_PORTS, rows), ports[codes % SLOTS, choice])
    flags = np.where(odd & (random.random(rows) < 0.5), REFUSED, ANSWERED)
    replaced = {
        "dst_ip": source.take(pa.array(to)),
        "dst_ip16": batch.column("src_ip16").take(pa.array(to)),
        "dst_port": pa.array(port.astype(np.uint16)),
        "tcp_flags": pa.array(flags.astype(np.uint16)),
        "packets_in": pa.array(random.integers(1, 30, rows)),
        "bytes_in": pa.array(random.lognormal(8, 2, rows).astype(np.int64) + 60),
    }
    arrays = [replaced.get(name, batch.column(name)) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def named(folder: Path, rows: int, batches: int) -> list[Any]:
    """Named flows of the ordinary cluster."""
    from enrich import Namer

    namer = Namer(history(folder, make_day(HOLDS, SLOTS)))
    return [namer.name(one) for one in ordinary(rows, batches)]


def last_us(batch: Any) -> int:
    """The latest start of a batch."""
    return int(batch.column("start_time").cast(pa.int64()).to_numpy().max())


def at_new_times(random: Any, batch: Any, begin_us: int, rows: int, a_day: int) -> Any:
    """The same flows with new ids, their starts spread from a moment on, as of so many a day."""
    starts = begin_us + np.sort(random.integers(0, rows * DAY_US // a_day, rows))
    text = np.frombuffer(random.bytes(16 * rows).hex().encode(), np.uint8)
    offsets = np.arange(rows + 1, dtype=np.int32) * 32
    ids = pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(text))
    times = pa.array(starts).cast(batch.schema.field("start_time").type)
    replaced = {"flow_id": ids, "start_time": times, "end_time": times}
    arrays = [replaced.get(name, batch.column(name)) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)
