"""Which flows of a batch match which rules."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from detect.model import RuleSet
from whowas.schema import plain

Rows = npt.NDArray[np.int64]


class Matcher:
    """Matches batches against all flow rules of a rule set."""

    def __init__(self, ruleset: RuleSet) -> None:
        self._rules = ruleset.rules
        self._database = duckdb.connect(config={"threads": 1})

    def match(self, batch: Any) -> dict[str, Rows]:
        """Return the rows that each rule matches, first_seen left aside.

        Args: batch: RecordBatch or Table with the columns of whowas.schema.named_schema or table_schema.
        Returns: row numbers, ascending, by name of the rule; rules that match nothing are left out.
        """
        if not self._rules or not batch.num_rows:
            return {}
        needed = sorted({column for one in self._rules for column in one.columns})
        self._database.register("flows", plain(batch.select(needed)))
        tests = ", ".join(f"({one.sql}) AS r{place}" for place, one in enumerate(self._rules))
        told = self._database.execute(f"SELECT {tests} FROM flows").fetchnumpy()  # noqa: S608 - rules' own SQL
        found = {one.info.name: np.flatnonzero(np.asarray(told[f"r{n}"])) for n, one in enumerate(self._rules)}
        return {name: rows for name, rows in found.items() if len(rows)}
