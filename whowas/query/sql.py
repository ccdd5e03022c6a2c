"""One SQL statement on named flows, and on the history beside them: DuckDB's rows, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import pyarrow as pa

from whowas.history.evidence_files import Paths
from whowas.query import functions, history_tables, mistakes, statements
from whowas.query.database import Database
from whowas.query.parquet_files import Where
from whowas.schema import COLUMNS, PARTITIONS

BATCH_ROWS = 8192


class Query:
    """A statement that runs as its rows are taken. schema: of the batches. unreadable: (path, reason), left out.

    Args: flows, history: what the tables `flows`, and `holds` and `evidence`, are made of, if they are asked for.
    zone: in which times are shown and reckoned. cluster: name for evidence that carries none.
    Raises: ConfigError for what is no such statement, InputError for flows or a history that cannot be read.
    """

    def __init__(
        self,
        sql: str,
        flows: Where | Sequence[Where] = (),
        history: Paths = (),
        *,
        zone: str = "UTC",
        cluster: str | None = None,
    ) -> None:
        self._database = Database(flows, zone)
        self.unreadable = self._database.unreadable
        try:
            statement = statements.read(self._database.link, sql)
            if statement.functions & functions.NAMES:
                functions.register(self._database.link)
            self._tables = ["flows"] if self._database.has_flows else []
            if history_tables.given(history):
                self._tables += history_tables.NAMES
                history_tables.add(self._database, statement.tables, history, cluster)
            self._database.lock()
            self._reader = self._run(lambda: self._begun(statement.text))
        except BaseException:
            self.close()
            raise
        self.schema = self._reader.schema

    def _begun(self, text: str) -> Any:
        rows = self._database.link.sql(text)
        # Older ones know it by another name.
        begin = getattr(rows, "to_arrow_reader", None) or rows.fetch_arrow_reader
        return begin(BATCH_ROWS)

    def batches(self) -> Iterator[Any]:
        """Yield record batches as DuckDB makes them. Raises: ConfigError when it fails on the way."""
        while True:
            batch = self._run(lambda: next(self._reader, None))
            if batch is None:
                return
            yield batch

    def _run(self, work: Any) -> Any:
        import duckdb

        try:
            return self._database.patiently(work)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise mistakes.refusal(error, self._columns(), self._tables) from error

    def _columns(self) -> list[str]:
        """What a column could have been called."""
        found = [one.name for one in COLUMNS] + [*PARTITIONS] if "flows" in self._tables else []
        for name in history_tables.NAMES if "holds" in self._tables else ():
            found += history_tables.columns(name)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Let go of all files."""
        self._database.close()

    def __enter__(self) -> Query:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def ask(sql: str, flows: Where | Sequence[Where] = (), history: Paths = (), *, zone: str = "UTC") -> Any:
    """Run one statement. Returns: a pyarrow Table with all of its rows. Raises: ConfigError, InputError."""
    with Query(sql, flows, history, zone=zone) as query:
        return pa.Table.from_batches(list(query.batches()), query.schema)
