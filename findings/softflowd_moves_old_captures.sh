#!/usr/bin/env bash
# softflowd reads a capture of 2023 and exports its flows with dates of the last seven weeks.
#
# Versions: softflowd 1.1.0 (Debian 1.1.0-1+b1).
# Guess: flows of an old capture come with the capture's own times, or all at the time of the export, so that one sees it.
# Behaviour: NetFlow v5 tells times as milliseconds of uptime, in 32 bits. softflowd takes the header from today's clock and the
# flows from the capture, as if it had begun at the first packet. What does not fit is cut: each flow moves by the same whole
# multiple of 2^32 ms (49.7 days), to at most 49.7 days before now. Lengths and distances are right to the millisecond, so
# nothing looks wrong; joined with a history of who held an address, it names whoever held it this month. The option -a takes
# the header from the capture, too. With -v 10 -A milli times are absolute, and right without -a.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/lib/goflow2.sh" softflowd
python3 - <<'PY'
import struct
import sys
import time

from goflow2 import EXPORTED, exported, packet, write_capture

WRAP = 2**32  # milliseconds
begins = [EXPORTED + 0.25, EXPORTED + 86_400.5]
write_capture("a.pcap", [(at, packet("10.0.0.1", "10.0.0.2", 5000 + one)) for one, at in enumerate(begins)])


def starts(*options):
    """When the flows begin, in milliseconds, as a collector reckons: export time - (uptime then - uptime at the start)."""
    (datagram,) = exported("a.pcap", "-v", "5", *options)
    _, count, uptime, seconds, nanoseconds = struct.unpack_from("!HHIII", datagram)
    firsts = [struct.unpack_from("!I", datagram, 24 + 48 * one + 24)[0] for one in range(count)]
    return sorted(seconds * 1000 + nanoseconds // 1_000_000 - (uptime - first) % WRAP for first in firsts)


truth = [round(at * 1000) for at in begins]
plain, adjusted = starts(), starts("-a")
moved = [(seen - at) / WRAP for seen, at in zip(plain, truth)]
for name, seen in (("in the capture", truth), ("exported", plain), ("exported, -a", adjusted)):
    print(f"{name:<15}", *(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at / 1000)) for at in seen))
print("moved by 2^32 ms times", *(f"{times:.6f}" for times in moved))
age = time.time() * 1000 - plain[1]
whole = all(abs(times - round(times)) * WRAP < 5 and round(times) > 0 for times in moved)
close = all(abs(seen - at) < 5 for seen, at in zip(adjusted, truth))
sys.exit(not (whole and close and 0 <= age < WRAP))
PY
