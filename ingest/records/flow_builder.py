"""Columns of records on their way to whowas.schema.flow_schema: checked, refused by reason, built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.columns.arrow import (
    dictionary,
    distinct,
    fixed,
    numbers,
    spell_mac,
    spell_protocol,
)
from ingest.columns.community_id import community_ids
from ingest.columns.protocols import TUNNELS_NOT_OPENED
from ingest.records.fields import Addresses, Fields, Numbers, Texts
from ingest.records.flow_columns import LAST_US, NONE, address_words, constant, flow_ids, nullable_times
from ingest.records.kernels import spots
from ingest.records.reader import Ids, Parsed, RecordOptions, Refusal
from ingest.records.record_times import RecordTimes
from whowas.arrays import Flags, Words
from whowas.schema import NUMBER, TIME_BASES, flow_schema

WITH_PORTS = (6, 17, 33, 132, 136)
UDP = 17
ICMP, ICMPV6 = ICMPS = (1, 58)


class FlowBuilder:
    """One row a record. Numbers are int64 with NONE where there is nothing.

    A format fills src, dst (Addresses), protocol, times and what they mean, and what else it has; the rest stays null.
    """

    def __init__(self, size: int, options: RecordOptions) -> None:
        self.size = size
        self.options = options
        self.value_rows: Words | None = None  # which value each row is of; None = each of its own
        self.parts: Words | None = None  # place of a row within its value
        self.reasons = np.zeros(size, dtype=np.int64)  # 0 = fine, else 1 + place in words
        self.words: list[str] = []
        self.skips: set[str] = set()
        nothing = Addresses(np.zeros((size, 16), np.uint8), np.zeros(size, np.uint8), np.zeros(size, np.uint8))
        self.addresses = dict.fromkeys(("src", "dst", "src_nat", "dst_nat", "outer_src", "outer_dst"), nothing)
        self.macs: dict[str, Words] = {}
        self.protocol = self.blank()
        self.times = RecordTimes(size)
        self.numbers: dict[str, Words] = {}
        self.texts: dict[str, Texts] = {}
        self.icmp: Words | None = None  # type << 8 | code, NONE where not told
        self.inner: Flags | None = None  # rows whose tunnel was opened by whoever wrote the record

    def blank(self) -> Words:
        """A column of nothing."""
        return np.full(self.size, NONE, dtype=np.int64)

    def refuse(self, rows: Flags, reason: str) -> None:
        """Refuse rows that nothing was said against so far."""
        if rows.any():
            self.reasons[rows & (self.reasons == 0)] = 1 + self._word(reason)

    def skip(self, rows: Flags, reason: str) -> None:
        """Leave out rows that are well-formed and carry no flow, whatever was said of their fields."""
        self.skips.add(reason)
        if rows.any():
            self.reasons[rows] = 1 + self._word(reason)

    def _word(self, reason: str) -> int:
        if reason not in self.words:
            self.words.append(reason)
        return self.words.index(reason)

    def take_reasons(self, fields: Fields) -> None:
        """Refuse what could not be taken apart."""
        for place, word in enumerate(fields.words):
            self.refuse(fields.reasons == place + 1, word)

    def take_addresses(self, side: str, found: Addresses, needed: bool = False) -> None:
        """Set the addresses of src, dst, src_nat, …; without `needed` a bad one is as none."""
        self.addresses[side] = found
        if needed:
            self.refuse(found.state == spots.BAD, f"bad_{side}_address")
            self.refuse(found.state != spots.GOOD, f"no_{side}_address")

    def take_count(self, name: str, found: Numbers, top: int = 1 << 62) -> None:
        """Set a column of numbers that are never negative; refuse rows where it is something else."""
        self.numbers[name] = np.where(found.good, found.values, NONE)
        self.refuse(found.bad | (found.good & ((found.values < 0) | (found.values > top))), f"bad_{name}")

    def take_ports(self, src: Numbers, dst: Numbers, names: tuple[str, str] = ("src_port", "dst_port")) -> None:
        """Set both ports."""
        for name, found in zip(names, (src, dst), strict=True):
            self.take_count(name, found, 0xFFFF)

    def take_time(self, name: str, found: Numbers) -> None:
        """Set start, end or received where told."""
        getattr(self.times, name)[found.good] = found.values[found.good]
        self.refuse(found.state == spots.LOCAL, "local_time_without_timezone")
        self.refuse(found.bad, f"bad_{name}_time")

    def same(self, name: str, word: str) -> None:
        """Give every row one word."""
        self.texts[name] = Texts(np.zeros(self.size, dtype=np.int64), [word])

    def choose(self, name: str, choice: Any, words: Sequence[str]) -> None:
        """Give each row the word of its number; NONE for none."""
        self.texts[name] = Texts(np.asarray(choice, dtype=np.int64), list(words))

    def finish(self, form: str, ids: Ids, broker: Words | None) -> Parsed:
        """Check what every record must have, and build flows of the rows that stand."""
        remarks = self._check(broker)
        kept = np.flatnonzero(self.reasons == 0)
        told = self.value_rows if self.value_rows is not None else np.arange(self.size)
        refused = [
            (Refusal(int(told[row]), self.words[int(self.reasons[row]) - 1]))
            for row in np.flatnonzero(self.reasons).tolist()
        ]
        lost = [one for one in refused if one.reason not in self.skips]
        passed = [one for one in refused if one.reason in self.skips]
        noted = Counter({word: int(count) for word, rows in remarks.items() if (count := rows[kept].sum())})
        return Parsed(_Batch(self, kept).build(form, ids, told[kept]), told[kept], lost, passed, noted)

    def _check(self, broker: Words | None) -> dict[str, Flags]:
        """Times and protocol. Returns: rows by what is remarked of their times."""
        if broker is not None:
            broker = broker if self.value_rows is None else broker[self.value_rows]
        self.times.receive(broker)
        self.refuse((self.protocol < 0) | (self.protocol > 255), "no_protocol")
        self.refuse(self.times.start > LAST_US, "bad_start_time")
        self.refuse(self.times.end > LAST_US, "bad_end_time")
        # A name for then would be a certain lie.
        self.refuse(self.times.ahead(), "starts_after_receipt")
        return self.times.settle()


class _Batch:
    """Builds the rows of a draft that stand."""

    def __init__(self, draft: FlowBuilder, kept: Words) -> None:
        self._draft = draft
        self._all = len(kept) == draft.size
        self._kept = kept
        self.size = len(kept)
        self.protocol = self.of(draft.protocol)

    def of(self, column: Any) -> Any:
        """The rows of a column that stand."""
        return column if self._all else column[self._kept]

    def number(self, name: str) -> Words:
        """A column of numbers; NONE throughout where nobody filled it."""
        found = self._draft.numbers.get(name)
        blank: Words = np.full(self.size, NONE, dtype=np.int64)
        return blank if found is None else self.of(found)

    def build(self, form: str, ids: Ids, rows: Words) -> Any:
        """The record batch."""
        draft = self._draft
        columns = {
            "flow_id": flow_ids(ids, rows, None if draft.parts is None else self.of(draft.parts)),
            **self._times(),
            "source_format": constant(form, self.size),
            **self._ends(),
            **self._numbers(),
            **self._texts(),
        }
        if "community_id" not in draft.texts:
            columns["community_id"] = self._community()
        schema = flow_schema()
        arrays = [columns[one.name] if one.name in columns else pa.nulls(self.size, one.type) for one in schema]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _times(self) -> dict[str, Any]:
        told = self._draft.times
        made = {f"{name}_time": nullable_times(self.of(getattr(told, name))) for name in ("start", "end", "received")}
        basis, before, after = self.of(told.basis), self.of(told.before), self.of(told.after)
        made["time_basis"] = dictionary(np.maximum(basis, 0), pa.array(TIME_BASES), basis < 0)
        never = self.of(told.start) < 0
        made["time_before"] = numbers(np.maximum(before, 0), pa.int64(), never | (before < 0))
        made["time_after"] = numbers(after, pa.int64(), never)
        return made

    def _ends(self) -> dict[str, Any]:
        draft, made = self._draft, {}
        octets = [self.of(draft.addresses[side].octets) for side in ("src", "dst")]
        families = [self.of(draft.addresses[side].families) for side in ("src", "dst")]
        words = address_words(np.concatenate(octets), np.concatenate(families))
        has_ports = np.isin(self.protocol, WITH_PORTS)
        for place, side in enumerate(("src", "dst")):
            port = self.number(f"{side}_port")
            made[f"{side}_ip"] = words.slice(place * self.size, self.size)
            made[f"{side}_ip16"] = fixed(octets[place])
            made[f"{side}_port"] = numbers(np.maximum(port, 0), NUMBER, ~has_ports | (port < 0))
            if side in draft.macs:
                macs = self.of(draft.macs[side])
                made[f"{side}_mac"] = distinct(macs, spell_mac, macs < 0)
            made |= self._translated(side, has_ports)
        return made

    def _translated(self, side: str, has_ports: Flags) -> dict[str, Any]:
        """Addresses after translation, and those outside tunnels."""
        draft, made = self._draft, {}
        for name, of in ((f"{side}_nat_ip", f"{side}_nat"), (f"outer_{side}_ip", f"outer_{side}")):
            families = self.of(draft.addresses[of].families)
            if families.any():
                made[name] = address_words(self.of(draft.addresses[of].octets), families)
        port = self.number(f"{side}_nat_port")
        if (port >= 0).any():
            made[f"{side}_nat_port"] = numbers(np.maximum(port, 0), NUMBER, ~has_ports | (port < 0))
        return made

    def _numbers(self) -> dict[str, Any]:
        made = {
            "protocol": distinct(self.protocol, spell_protocol),
            "protocol_number": numbers(self.protocol, NUMBER),
            "sampling_rate": numbers(np.maximum(self.number("sampling_rate"), 0), pa.int64()),
            "encapsulated": pa.array(self._encapsulated()),
        }
        for name in ("bytes_out", "bytes_in", "packets_out", "packets_in"):
            value = self.number(name)
            made[name] = numbers(value, pa.int64(), value < 0)
        for name in ("tcp_flags", "tcp_flags_out", "tcp_flags_in"):
            value = self.number(name)
            made[name] = numbers(np.maximum(value, 0) & 0xFFF, NUMBER, (value < 0) | (self.protocol != 6))
        vni = self.number("vni")
        made["vni"] = numbers(np.maximum(vni, 0), pa.int32(), vni < 0)
        vlan = self.number("vlan")
        offsets = np.concatenate([[0], np.cumsum(vlan > 0)]).astype(np.int32)
        lists = pa.array(vlan <= 0) if self.size else None
        made["vlan"] = pa.ListArray.from_arrays(
            pa.array(offsets), pa.array(vlan[vlan > 0].astype(np.int32), NUMBER), mask=lists
        )
        return made

    def _encapsulated(self) -> Flags:
        """UDP to a tunnel's port or a protocol that is a tunnel, and nobody opened it: both ends are tunnel ends."""
        ports = self._draft.options.tunnel_ports
        to = np.isin(self.number("dst_port"), ports) | np.isin(self.number("src_port"), ports)
        tunnel = (to & (self.protocol == UDP)) | np.isin(self.protocol, TUNNELS_NOT_OPENED)
        outer: Flags = tunnel & (self.number("vni") < 0)
        return outer if self._draft.inner is None else outer & ~self.of(self._draft.inner)

    def _texts(self) -> dict[str, Any]:
        made = {}
        for name, told in self._draft.texts.items():
            indices = self.of(told.indices)
            column = dictionary(np.maximum(indices, 0), pa.array([*told.words, ""], pa.string()), indices < 0)
            made[name] = column.cast(pa.string()) if name == "community_id" else column
        return made

    def _community(self) -> Any:
        draft = self._draft
        families = self.of(draft.addresses["src"].families).astype(np.int64)
        src, dst = (self.of(draft.addresses[side].octets) for side in ("src", "dst"))
        ports = [np.maximum(self.number(f"{side}_port"), 0) for side in ("src", "dst")]
        has_ports = np.isin(self.protocol, WITH_PORTS)
        icmp = np.full(self.size, NONE, dtype=np.int64) if draft.icmp is None else self.of(draft.icmp)
        # ICMPv6 has no type 0: that is a field which nobody filled.
        told = (self.protocol == ICMP) | ((self.protocol == ICMPV6) & (icmp >= 256))
        icmp = np.where(told, icmp, NONE)
        same = families == self.of(draft.addresses["dst"].families)
        found = community_ids(src, dst, families, self.protocol, (ports[0], ports[1], has_ports), icmp)
        untold = np.isin(self.protocol, ICMPS) & (icmp < 0)
        if same.all() and not untold.any():
            return found
        import pyarrow.compute as pc

        return pc.if_else(pa.array(same & ~untold), found, pa.scalar(None, pa.string()))
