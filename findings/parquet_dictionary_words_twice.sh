#!/usr/bin/env bash
# A Parquet file of one and the same table is another file each time, if a dictionary of the table has a word twice.
#
# Versions: pyarrow 26.0.1; Python 3.11.
# Guess: words that stand in an Arrow dictionary twice are refused, or written twice, or written once; the bytes of the file
# follow from the table.
# Behaviour: they are written once, but the dictionary page is as long as if they were written twice. The rest of the page
# holds what lay in memory there before. Readers do not look at it: all values come back right, checksums fit. Whoever
# compares files, or names them by their hash, sees a difference where none is; and the file holds bytes of something else.
# `Array.dictionary_encode` and `unify_dictionaries` make no such dictionary, `DictionaryArray.from_arrays` takes what it is given.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{ python3 -m venv "$work/env" && "$work/env/bin/pip" install -q --disable-pip-version-check pyarrow==26.0.1; } || exit 2
cd "$work"
env/bin/python - <<'PY'
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def written(words: list[str], before: int) -> bytes:
    """The file of twenty rows that have these words in turn. before: what lies in memory when it is made."""
    column = pa.DictionaryArray.from_arrays(pa.array([row % len(words) for row in range(20)], pa.int32()), pa.array(words))
    left = [pa.array([bytes([before]) * size] * 50) for size in range(8, 200, 8)]
    del left
    out = pa.BufferOutputStream()
    pq.write_table(pa.table({"word": column}), out, compression="none")
    assert pq.read_table(pa.BufferReader(out.getvalue()))["word"].to_pylist() == column.to_pylist()
    return out.getvalue().to_pybytes()


print(f"pyarrow {pa.__version__}")
kinds = {}
for title, words in (("each word once", ["pcap", "pcapng"]), ("a word twice", ["pcap", "pcap"])):
    made = [written(words, before) for before in range(65, 91)]
    kinds[title] = len(set(made))
    print(f"{title:<16} {len(made)} files of one table, {kinds[title]} of them different")
    print(f"{'':<16} the page behind its first word: {sorted({one[one.index(b'pcap') + 4 :][:8] for one in made})[:4]}")
sys.exit(0 if kinds["each word once"] == 1 and kinds["a word twice"] > 1 else 1)
PY
