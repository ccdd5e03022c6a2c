"""What DuckDB says of a query that does not work, as whowas says it: the mistake, what is near, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from whowas.errors import ConfigError

TABLES = ("flows", "holds", "evidence")
_KIND = re.compile(r"^(?:[A-Z][A-Za-z]* )*Error: ")
_COLUMN = re.compile(
    r'Referenced column "(?P<a>[^"]+)" (?:not found|was not found)|does not have a column named "(?P<b>[^"]+)"'
    r"|Could not find key \"(?P<c>[^\"]+)\" in struct|column \"(?P<d>[^\"]+)\" (?:does not exist|not found)"
)
_TABLE = re.compile(r"Table with name (?P<name>.+?) does not exist")
_CANDIDATES = re.compile(r'"([^"]+)"')
_FUNCTION = re.compile(r"Function with name (?P<name>\S+) does not exist")
_RAISED = re.compile(r"Python exception occurred while executing the UDF: \w+: (?P<why>.*)", re.DOTALL)


def refusal(error: Exception, columns: Iterable[str], tables: Iterable[str]) -> ConfigError:
    """Return DuckDB's error as ours. columns: that could have been meant. tables: that there are."""
    told = _KIND.sub("", str(error))
    first = told.partition("\n")[0].strip()
    if found := _RAISED.search(told):
        return ConfigError(found["why"].partition("\n")[0])
    if found := _COLUMN.search(told):
        return ConfigError(f"cannot run the query: {_no_column(_first_of(found), _bound(told, columns))}")
    if found := _TABLE.search(first):
        return ConfigError(f"cannot run the query: {_no_table(found['name'], list(tables))}")
    if found := _FUNCTION.search(first):
        near = re.search(r'Did you mean "([^"]+)"', told)
        return ConfigError(
            f"cannot run the query: there is no function {found['name']}()"
            + (f"; did you mean {near[1]}()?" if near else "")
        )
    if "file system operations are disabled" in first or "disabled through configuration" in first:
        return ConfigError(f"cannot run the query: {first.partition(' - ')[0]}; it reads flows and nothing else")
    if "ut of Memory" in str(error)[:20] or "max_temp_directory_size" in told:
        return ConfigError(f"cannot run the query: it needs too much memory ({first}); ask for a shorter time")
    if "ip_in" in told or "_whowas_low" in told or ("BLOB" in first and "VARCHAR" in first):
        return ConfigError(
            f"cannot run the query: {first}; ranges work on src_ip16 and dst_ip16, ip('…') gives such bytes"
        )
    return ConfigError(f"cannot run the query: {first}{_place(told)}")


def _first_of(found: re.Match[str]) -> str:
    return next(one for one in found.groups() if one)


def _bound(told: str, columns: Iterable[str]) -> list[str]:
    """What DuckDB itself had to choose from, and what the tables have."""
    line = next((one for one in told.split("\n") if one.startswith("Candidate bindings:")), "")
    own = [one.rpartition(".")[2] for one in _CANDIDATES.findall(line)]
    # Of a subquery's columns the schema knows nothing.
    return own if own and not set(own) & set(columns) else list(dict.fromkeys([*own, *columns]))


def _no_column(name: str, columns: Iterable[str]) -> str:
    known = [one for one in columns if one != name]
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    # web_label may want labels; workload wants src_workload and dst_workload.
    near += [one for one in known if name.lower() in one and one not in near][: 3 - len(near)]
    advice = f"did you mean {' or '.join(near)}?" if near else "'whowas schema' lists the columns"
    return f"there is no column '{name}'; {advice}"


def _no_table(name: str, tables: list[str]) -> str:
    if name.lower() in TABLES:
        option = "--flows DIR" if name.lower() == "flows" else "-H HISTORY"
        return f"the table {name.lower()} needs {option}"
    return f"there is no table '{name}'; there are {', '.join(tables)}"


def _place(told: str) -> str:
    """The line of the query that DuckDB marks, if it is short enough to be looked at."""
    found = re.search(r"^LINE (\d+): (.*)\n( *\^+)", told, re.MULTILINE)
    if found is None or len(found[2]) > 200:
        return ""
    shift = len(f"LINE {found[1]}: ")
    return f"\n  {found[2]}\n  {found[3][shift:]}"
