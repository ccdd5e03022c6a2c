#!/usr/bin/env bash
# Of softflowd's first NetFlow v9 datagram goflow2 reads nothing where it holds few flows, and all where it holds more.
#
# Versions: softflowd 1.1.0 (Debian 1.1.0-1+b1), goflow2 2.2.6.
# Guess: a capture of four flows gives four flows, as one of eight gives eight; a reader goes by the sets' lengths.
# Behaviour: the header's count is to say how many records there are, templates and data. softflowd counts its flows alone, and
# its first datagram has six sets before them: templates, and options. goflow2 reads as many sets as the count says. So with up
# to six flows it stops before it reaches them, without an error or a metric; with seven or more it reads them all.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/lib/goflow2.sh" softflowd
python3 - <<'PY'
import struct
import sys

from goflow2 import EXPORTED, Collector, exported, packet, send, write_capture


def sets(datagram):
    at, found = 20, []
    while at < len(datagram):
        number, length = struct.unpack_from("!HH", datagram, at)
        found.append(number)
        at += length
    return found


seen = {}
for flows in (1, 4, 6, 7, 8):
    write_capture("a.pcap", [(EXPORTED + one / 1000, packet("10.0.0.1", "10.0.0.2", 5000 + one)) for one in range(flows)])
    (datagram,) = exported("a.pcap", "-v", "9")
    collector = Collector("workers=1")
    send(collector.port, datagram)
    read = len(collector.rows(1))
    (count,) = struct.unpack_from("!H", datagram, 2)
    seen[flows] = count, read
    print(f"{flows} flows: count {count}, sets {sets(datagram)}, goflow2 reads {read} flows")
sys.exit(seen != {1: (1, 0), 4: (4, 0), 6: (6, 0), 7: (7, 7), 8: (8, 8)})
PY
