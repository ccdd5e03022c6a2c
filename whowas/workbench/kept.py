"""Roll-ups in memory: tables of integers in DuckDB, one set of names for all hours.

| table | one row |
|---|---|
| `links` | id, both groups, `pair`, `space`, and both ends' names as flows have them: `src_workload`… |
| `pairs` | id, `key`, and what `links` of equal names have in common; of one key are pairs that differ in direction |
| `spaces` | id, and what is left of a link without workloads and ports |
| `details` | id, group, its names, and what was seen of it beyond them |
| `edges_10m_N`, `edges_1h_N` | bucket, link, counts: of the hour that was loaded as number N |
| `spaces_10m_N` | bucket, space, counts |
| `here_N` | link of the hour's own number: `edges_1m` stays in its file |
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whowas.arrays import Indices
from whowas.query.parquet_files import as_glob, sql_text
from whowas.workbench import rollup_sql
from whowas.workbench.hourly import Hourly, Numbers, arrays
from whowas.workbench.numbering import Lists, WordList
from whowas.workbench.problems import NotServedError
from whowas.workbench.rollup_sql import ADDED, AN_HOUR, DETAILS, GROUP, MEASURES, SIDES, SPACE_COLUMNS
from whowas.workbench.summed_files import TOLD

SPACE = "rollups"
"""The name of the database in memory: its tables are compressed, which those of the connection's own are not."""
NAMED = ("cluster", "kind", "namespace", "name", "name_kind", "confidence")
"""What names an end of a pair: its workload, else its name."""
GRACE_SECONDS = 90.0
"""So long the tables of an hour that changed are kept for questions that began before."""
TOGETHER = 8
"""So many hours are loaded before their tables are compressed."""
HOUR_TABLES = ("edges_10m", "edges_1h", "spaces_10m", "here")
_FACTS = f"link, {', '.join(MEASURES)}"


def attach(link: Any) -> None:
    """Make the place for the tables; before settings are locked."""
    link.execute(f"ATTACH ':memory:' AS {SPACE} (COMPRESS)")


class Loaded(NamedTuple):
    """What an hour has. number: of its tables. flows, bytes: in it.

    seen: numbers of details. hourly, spaced: edges_1h, spaces_10m as arrays.
    """

    number: int
    flows: int
    bytes: int
    seen: Indices
    hourly: Hourly
    spaced: Any

    def table(self, kind: str) -> str:
        """The name of one of its tables."""
        return f"{SPACE}.{kind}_{self.number}"


class Kept:
    """Loads roll-ups, and drops them. One thread loads; many may read. link: a connection with `attach` done."""

    def __init__(self, link: Any) -> None:
        self._link = link.cursor()
        self._lock = threading.Lock()
        self._next = 0
        self._loaded: dict[str, Loaded] = {}
        self._dropped: list[tuple[float, Loaded]] = []
        self._words = WordList()
        self._groups = WordList()
        self._names, self._name_of = WordList(), np.zeros(1, np.int32)
        self._links, self._details = Lists(), Lists()
        self._pairs, self._keys, self._numbers = Lists(), Lists(), Numbers()
        self._uncompressed, self._half = 0, ""
        self._link.execute(_tables())

    def load(self, folder: str) -> Loaded:
        """Load an hour's roll-ups, once. folder: of its files. Raises: NotServedError; duckdb's, pyarrow's, OSError."""
        with self._lock:
            if folder not in self._loaded:
                tables = [pq.read_table(f"{folder}/{one}.parquet") for one in ("groups", "links")]
                if self._half:
                    raise NotServedError(self._half)
                # What is numbered but not in the tables would be left out of every answer: then nothing more is loaded.
                self._half = "roll-ups could not be loaded as a whole: is there enough memory? start again"
                self._loaded[folder] = self._load(folder, *tables)
                self._half = ""
            return self._loaded[folder]

    def keep(self, folders: set[str]) -> None:
        """Forget all but some; their tables go a while later."""
        with self._lock:
            now = time.monotonic()
            for folder in set(self._loaded) - folders:
                self._dropped.append((now, self._loaded.pop(folder)))
            late = [one for at, one in self._dropped if at + GRACE_SECONDS < now]
            self._dropped = [(at, one) for at, one in self._dropped if at + GRACE_SECONDS >= now]
            for one in late:
                self._link.execute("; ".join(f"DROP TABLE IF EXISTS {one.table(kind)}" for kind in HOUR_TABLES))
            if late or self._uncompressed:
                self._compress()

    def _compress(self) -> None:
        import duckdb

        self._uncompressed = 0
        # Put off while somebody else writes: the next load does it too.
        with contextlib.suppress(duckdb.TransactionException):
            self._link.execute(f"CHECKPOINT {SPACE}")

    def _load(self, folder: str, of_groups: Any, of_links: Any) -> Loaded:
        groups = self._of_groups(of_groups)
        links = self._of_links(of_links, groups)
        seen = self._of_details(f"{folder}/details.parquet", groups)
        made = Loaded(self._next, 0, 0, seen, Hourly(self._numbers, links, []), None)
        self._next += 1
        fine = sql_text(as_glob(f"{folder}/edges_10m.parquet"))
        self._make(made.table("here"), "FROM arrow", pa.table({"own": np.arange(len(links)), "link": links}))
        own = f"SELECT bucket, h.link, {', '.join(MEASURES)} FROM read_parquet({fine}) AS f"
        self._make(made.table("edges_10m"), f"{own} JOIN {made.table('here')} AS h ON f.link = h.own")
        hour = rollup_sql.bucket(AN_HOUR, "bucket")
        of = made.table("edges_10m")
        self._make(made.table("edges_1h"), f"SELECT {hour} AS bucket, link, {ADDED} FROM {of} GROUP BY ALL")
        spaced = f"(FROM {of} AS f JOIN (SELECT id, space FROM {SPACE}.links) AS l ON f.link = l.id)"
        self._make(made.table("spaces_10m"), f"SELECT bucket, space, {ADDED} FROM {spaced} GROUP BY ALL")
        self._uncompressed += 1
        if self._uncompressed >= TOGETHER:
            self._compress()
        flows, size = self._link.execute(
            f"SELECT coalesce(sum(flows), 0)::BIGINT, least(coalesce(sum(bytes), 0), {rollup_sql.MOST})::BIGINT "
            f"FROM {of}"
        ).fetchall()[0]
        spaced = self._link.sql(f"FROM {made.table('spaces_10m')}").to_arrow_table()
        hourly = arrays(self._link, self._numbers, made.table("edges_1h"))
        return made._replace(flows=flows, bytes=size, hourly=hourly, spaced=spaced)

    def _make(self, table: str, sql: str, told: Any = None) -> None:
        if told is not None:
            self._link.register("arrow", told)
        self._link.execute(f"CREATE TABLE {table} AS {sql}")
        if told is not None:
            self._link.unregister("arrow")

    def _of_groups(self, table: Any) -> Any:
        """Numbers of groups that all hours share: equal names, equal candidates, one number."""
        known = len(self._groups.words)
        names = ("cluster", *GROUP, "candidates")
        rows = zip(*(table[one].to_pylist() for one in names), strict=True)
        codes = np.array([self._groups.code(_hashable(row)) for row in rows], np.int64)
        fresh = _first(codes, known)
        if len(fresh):
            self._insert("groups", table.take(fresh).append_column("id", pa.array(codes[fresh])))
            new = table.take(fresh).select(["cluster", *GROUP]).to_pylist()
            self._name_of = np.concatenate([self._name_of, [self._names.code(name_of(one)) for one in new]])
        return codes

    def _of_links(self, table: Any, groups: Any) -> Any:
        known = self._links.known
        words = [self._words.codes(table[one].combine_chunks()) for one in ("protocol", "direction")]
        numbers = [table[one].fill_null(-1).to_numpy() for one in ("dst_port", "protocol_number")]
        ends = [groups[table[side].to_numpy()] for side in SIDES]
        codes = self._links.rows(*ends, *numbers, *words)
        fresh = _first(codes, known)
        if len(fresh):
            told = table.drop(list(SIDES)).take(fresh)
            for side, of in zip(SIDES, ends, strict=True):
                told = told.append_column(f"{side}_group", pa.array(of[fresh]))
            named = [self._name_of[of] for of in ends]
            paired = self._pairs.known
            pairs = self._pairs.rows(*named, numbers[0], *words)
            told = told.append_column("pair", pa.array(pairs[fresh]))
            keys = self._keys.rows(*named, numbers[0], words[0])
            self._numbers.learn(codes[fresh], pairs[fresh], keys[fresh])
            self._insert_pairs(told, pairs[fresh], keys[fresh], paired)
            self._insert_links(told.append_column("id", pa.array(codes[fresh])))
        return codes

    def _of_details(self, path: str, groups: Any) -> Any:
        known = self._details.known
        compared = [f"{one}_text" if one in TOLD else one for one in DETAILS]
        table = pq.read_table(path, columns=["group", *compared])
        own = groups[table["group"].to_numpy()]
        codes = self._details.rows(own, *(self._words.codes(table[one].combine_chunks()) for one in compared))
        fresh = _first(codes, known)
        if len(fresh):
            told = pq.read_table(path, columns=list(DETAILS)).take(fresh)
            told = told.append_column("id", pa.array(codes[fresh])).append_column("group_id", pa.array(own[fresh]))
            named = f"(SELECT id AS group_id, * EXCLUDE (id, candidates) FROM {SPACE}.groups)"
            self._insert("details", told, f"FROM arrow JOIN {named} USING (group_id)")
        return codes

    def _insert(self, table: str, told: Any, sql: str = "FROM arrow") -> None:
        self._link.register("arrow", told)
        self._link.execute(f"INSERT INTO {SPACE}.{table} BY NAME {sql}")
        self._link.unregister("arrow")

    def _insert_pairs(self, links: Any, pairs: Any, keys: Any, known: int) -> None:
        fresh = _first(pairs, known)
        told = links.take(fresh).append_column("key", pa.array(keys[fresh])).drop(["protocol_number"])
        names = ", ".join(
            f"{side[0]}.cluster AS {side}_cluster, {side[0]}.kind AS {side}_kind, {side[0]}.namespace AS "
            f"{side}_namespace, coalesce({side[0]}.workload, {side[0]}.name) AS {side}_name, "
            f"{side[0]}.workload_kind AS {side}_name_kind, {side[0]}.confidence AS {side}_confidence"
            for side in SIDES
        )
        ends = " ".join(f"JOIN {SPACE}.groups AS {side[0]} ON a.{side}_group = {side[0]}.id" for side in SIDES)
        self._insert(
            "pairs", told, f"SELECT pair AS id, key, {names}, dst_port, protocol, direction FROM arrow AS a {ends}"
        )

    def _insert_links(self, told: Any) -> None:
        """Put both ends' names beside new links, and say of which space each is."""
        self._link.register("arrow", told)
        named = [f"s.cluster, {', '.join(rollup_sql.LINK)}, a.id, a.pair, a.src_group, a.dst_group"]
        for side in SIDES:
            named += [f"{side[0]}.{what} AS {side}_{what}" for what in (*GROUP, "candidates")]
        ends = " ".join(f"JOIN {SPACE}.groups AS {side[0]} ON a.{side}_group = {side[0]}.id" for side in SIDES)
        spaces = ", ".join(sorted(SPACE_COLUMNS))
        self._link.execute(f"CREATE TEMP TABLE new_links AS SELECT {', '.join(named)} FROM arrow AS a {ends}")
        self._link.unregister("arrow")
        same = " AND ".join(f"n.{one} IS NOT DISTINCT FROM p.{one}" for one in sorted(SPACE_COLUMNS))
        self._link.execute(
            f"INSERT INTO {SPACE}.spaces BY NAME SELECT n.*, (SELECT coalesce(max(id) + 1, 0) FROM {SPACE}.spaces) + "
            f"row_number() OVER () AS id FROM (SELECT DISTINCT {spaces} FROM new_links) AS n "
            f"WHERE NOT EXISTS (SELECT 1 FROM {SPACE}.spaces AS p WHERE {same})"
        )
        self._link.execute(
            f"INSERT INTO {SPACE}.links BY NAME SELECT n.*, p.id AS space FROM new_links AS n "
            f"JOIN {SPACE}.spaces AS p ON {same}; DROP TABLE new_links"
        )


def name_of(group: dict[str, Any]) -> tuple[Any, ...]:
    """A group's name, as NAMED has it."""
    workload = group["workload"] if group["workload"] is not None else group["name"]
    return (
        group["cluster"], group["kind"], group["namespace"], workload, group["workload_kind"], group["confidence"],
    )  # fmt: skip


def _first(codes: Any, known: int) -> Any:
    """Where numbers from `known` on stand first."""
    several, place = np.unique(codes, return_index=True)
    return np.sort(place[several >= known])


def _hashable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(one if one is None or isinstance(one, (str, int)) else repr(one) for one in row)


def _tables() -> str:
    """SQL of the tables that all hours share."""
    texts = " VARCHAR, ".join(GROUP) + " VARCHAR"
    others = "STRUCT(kind VARCHAR, namespace VARCHAR, name VARCHAR, workload VARCHAR)[]"
    ends = ", ".join(
        f"{', '.join(f'{side}_{one} VARCHAR' for one in GROUP)}, {side}_candidates {others}, {side}_group INTEGER"
        for side in SIDES
    )
    link = "cluster VARCHAR, dst_port INTEGER, protocol VARCHAR, protocol_number INTEGER, direction VARCHAR"
    spaces = ", ".join(f"{one} {'INTEGER' if one == 'protocol_number' else 'VARCHAR'}" for one in sorted(SPACE_COLUMNS))
    pairs = ", ".join(f"{side}_{one} VARCHAR" for side in SIDES for one in NAMED)
    nested = {"labels": "MAP(VARCHAR, VARCHAR)", "images": "VARCHAR[]"}
    details = ", ".join(f"{one} {nested.get(one, 'VARCHAR')}" for one in DETAILS)
    return "; ".join(
        f"CREATE TABLE {SPACE}.{name} ({columns})"
        for name, columns in (
            ("groups", f"id INTEGER, cluster VARCHAR, {texts}, candidates {others}"),
            ("links", f"id INTEGER, pair INTEGER, space INTEGER, {link}, {ends}"),
            ("pairs", f"id INTEGER, key INTEGER, {pairs}, dst_port INTEGER, protocol VARCHAR, direction VARCHAR"),
            ("spaces", f"id INTEGER, {spaces}"),
            ("details", f"id INTEGER, group_id INTEGER, cluster VARCHAR, {texts}, {details}"),
        )
    )
