"""Rules' SQL in the engine that will run it: a condition that DuckDB does not take is refused at load."""

from __future__ import annotations

from functools import cache

import duckdb

from detect.conditions.tree import Condition, sql_of
from detect.sigma.refusals import Refused
from whowas.schema import table_schema


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """A DuckDB with a table of one flow of which nothing is known, for as long as the process lives."""
    opened = duckdb.connect(config={"threads": 1})
    opened.execute("SET enable_external_access = false")
    opened.register("empty", table_schema().empty_table())
    opened.execute("CREATE TABLE flows AS SELECT * FROM empty")
    opened.execute("INSERT INTO flows (flow_id) VALUES ('')")
    return opened


class Runner:
    """Tries conditions and expressions."""

    def __init__(self) -> None:
        self._database = _database().cursor()
        # What is asked here is whether DuckDB takes it; its optimizer takes time by the cube of a condition's tests.
        self._database.execute("PRAGMA disable_optimizer")

    def check(self, condition: Condition, line: int) -> None:
        """Run a condition once. Raises: Refused with what DuckDB says."""
        try:
            self._database.execute(f"SELECT {sql_of(condition)} FROM flows").fetchall()  # noqa: S608 - our own SQL
        except duckdb.Error as error:
            cause = " ".join(str(error).split())[:300]
            raise Refused(f"DuckDB does not take it: {cause}", "ask for something simpler", line) from error

    def expression(self, pattern: str) -> None:
        """Try a regular expression, written as a SQL literal. Raises: Refused with what the engine says."""
        try:
            self._database.execute(f"SELECT regexp_matches('', {pattern})").fetchall()
        except duckdb.Error as error:
            cause = " ".join(str(error).split())[:300]
            raise Refused(
                f"the expression {pattern:.200} is none of RE2: {cause}", "RE2 has no look-around, no back-references"
            ) from error
