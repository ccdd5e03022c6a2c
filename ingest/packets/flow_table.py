"""The table of open conversations: a pool of rows, and a hash table that leads to them.

A row is 128 bytes, two cache lines: the first is what a look-up compares, the second what a packet
changes. What is only written when a conversation begins lies in a second pool. Attackers choose
addresses, so the hash is keyed with a secret of the run; it decides where a row is found, never which
row is written out when, nor in what order.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ingest.packets.layout import FACTS, REASONS
from whowas.arrays import Words
from whowas.kernels import lean_kernel, rare_kernel

# A row, first line: ends a and b in order of address and port, whoever sent first.
A_HI, A_LO, B_HI, B_LO = 0, 1, 2, 3
ENDS = 4  # port a << 40 | port b << 24 | protocol << 8 | 1 if IPv6 << 1 | 1 if there are ports
NETWORK = 5  # layout.VNI + 1, and from NETWORK_BITS on the point of observation (points.py)
TAGS = 6  # VLAN ids as in layout.VLANS
HASH = 7  # 31 bits << 32 | sequence number of the SYN
# Second line.
FIRST, LAST = 8, 9  # us
PACKETS_A, PACKETS_B, BYTES_A, BYTES_B = 10, 11, 12, 13  # sent by a, by b
STATE = 14
CLOSED_AT = 15  # time of the first FIN or RST
ROW = 16

# STATE: flags of a (12 bits), flags of b (12 bits), then:
B_FLAGS = 12
SRC_IS_B = 1 << 24
BY_SYN = 1 << 25
CLOSED = 1 << 26
CLOSED_BY_RESET = 1 << 27
SYN_KNOWN = 1 << 28
SYN_FROM_B = 1 << 29
SPOKE_A = 1 << 30  # of b the next bit: a packet of its own was seen
OUTER_ENDS = 1 << 32  # of a tunnel that was not opened
# ICMP errors about it: how many, at most so many, and type << 8 | code of the first.
ERRORS, ERRORS_MOST = 33, 0xFFF
FIRST_ERROR = 45
ERRORS_MASK = ((1 << 28) - 1) << ERRORS
LOOKED_A = 1 << 61  # enough of what a said was looked at; of b the next bit

# A row's cold half.
OUTER_A_HI, OUTER_A_LO, OUTER_B_HI, OUTER_B_LO = 0, 1, 2, 3
OUTER = 4  # tunnels << 4 | family of the outer addresses, 0 where there is but one IP header
MAC_A, MAC_B = 5, 6  # -1 = none
SEQUENCE = 7  # ordinal of the first packet in the run
ORDINAL = 8  # ordinal of the first packet in its file
PLACE = 9  # observer number
ICMP_FIRST = 10
REASON = 11
SPOKE_TIME_A, SPOKE_TIME_B = 12, 13  # of the first packet of its own, us; only where STATE says that there was one
OBSERVED = 14  # number of the conversation among those that are observed; 0 = none
GREETINGS = 15  # first bytes of a and of b (first_bytes.py), 8 bits each, then how many of its packets were looked at
COLD = 16
# Beyond these, only where conversations are joined over points of observation: for each direction the words of
# points.py. A table that has them is as wide as MARKED.
MARKS = COLD
MARK_WORDS = 13
MARKED = COLD + 2 * MARK_WORDS

# NETWORK: what belongs to the network, then the point.
NETWORK_BITS = 34
NETWORK_MASK = (1 << NETWORK_BITS) - 1

# FIRST of a row that is not in use.
FREE = -(1 << 62)
# A mark of a row that began before marks were taken.
UNMARKED = -1

# A key beside its words: HASH, then what is known of the packet.
KEY_REASON = 8
KEY_SENDER = 9
KEY_GUESS = 10
KEY = 12
# Packets that are decoded before the first of them is folded; a key more is for fragments that waited.
GROUP = 32

# The table's own numbers.
TOP, FREE_HEAD, LIVE, HAND, OUT, SEEN, FOLDED = 0, 1, 2, 3, 4, 5, 6
CLOCK = 7  # us; -1 before the first packet
WANTS_SLOTS = 8
FILE_SEEN = 9
NOTHING = 10
HELD_FIRST, HELD_COUNT = 11, 12  # the oldest fragment that waits, and how many places from there on are in use
# What is observed (bits of observing.py), how many conversations were, how many packets of this block are handed over.
OBSERVE, HANDLES, PICKED = 16, 17, 18
NUMBERS = 20

# Timeouts, us.
IDLE, ACTIVE, LINGER, LATENESS, FRAGMENTS_KEPT = 0, 1, 2, 3, 4
# No time: whether points of observation are kept APART, and besides marks are taken of packets.
WATCH = 5
SPANS = 6
APART, TAKING_MARKS = 1, 2

SLOTS_FIRST = 1 << 14
FRAGMENTS = 1 << 12
FRAGMENT_ROW = 9
# Fragments that wait for their first: its facts, what a conversation keeps of its first packet, its time (FREE: gone).
HELD_MOST = 512
HELD_TIME = FACTS + COLD
HELD_ROW = HELD_TIME + 1
# Packets that are handed over for a closer look, those of a block at most: observing.py has the columns.
PICKS = 1 << 13
PICK = 18


def _aligned(rows: int, columns: int) -> Words:
    """An array whose rows start at cache lines; pages are given by the system when first touched."""
    raw = np.empty(rows * columns + 8, dtype=np.int64)
    skip = (-raw.ctypes.data % 64) // 8
    return raw[skip : skip + rows * columns].reshape(rows, columns)


@dataclass
class Table:
    """The arrays of a run. Memory is touched as conversations come; nothing is given back before the end."""

    most: int
    out_rows: int
    spans: Words
    pool: Words = field(init=False)
    cold: Words = field(init=False)
    slots: Words = field(init=False)
    fragments: Words = field(init=False)
    held: Words = field(init=False)
    numbers: Words = field(init=False)
    secret: Words = field(init=False)
    out: Words = field(init=False)
    out_cold: Words = field(init=False)
    facts: Words = field(init=False)
    refused: Words = field(init=False)
    noted: Words = field(init=False)
    keys: Words = field(init=False)
    picks: Words = field(init=False)

    def __post_init__(self) -> None:
        self.pool, self.cold = _aligned(self.most, ROW), _aligned(self.most, COLD)
        self.slots = np.zeros(SLOTS_FIRST, dtype=np.int64)
        self.fragments = np.zeros((FRAGMENTS, FRAGMENT_ROW), dtype=np.int64)
        self.held = np.zeros((HELD_MOST, HELD_ROW), dtype=np.int64)
        self.numbers = np.zeros(NUMBERS, dtype=np.int64)
        self.secret = np.frombuffer(bytearray(secrets.token_bytes(16 * 8)), dtype=np.int64).copy()
        self.out, self.out_cold = _aligned(self.out_rows, ROW), _aligned(self.out_rows, COLD)
        self.facts = np.zeros((GROUP, FACTS), dtype=np.int64)
        self.refused = np.zeros(REASONS, dtype=np.int64)
        self.noted = np.zeros(REASONS, dtype=np.int64)
        self.keys = np.zeros((GROUP + 1, KEY), dtype=np.int64)
        self.picks = np.empty((PICKS, PICK), dtype=np.int64)
        self.empty()

    def empty(self) -> None:
        """Forget every row; what was in them has been written."""
        self.numbers[[TOP, LIVE, HAND, OUT, HELD_FIRST, HELD_COUNT]] = 0
        self.numbers[[FREE_HEAD, CLOCK]] = -1
        self.slots[:] = 0
        self.fragments[:] = 0

    def open_rows(self) -> npt.NDArray[np.int64]:
        """Rows that are in use, by their start, then by the order in which they began."""
        first = self.pool[: self.numbers[TOP], FIRST]
        rows = np.flatnonzero(first != FREE)
        return rows[np.lexsort((self.cold[rows, SEQUENCE], first[rows]))]

    def take_marks(self) -> None:
        """Begin to take marks. Rows that are open have none, and are never joined."""
        for name in ("cold", "out_cold"):
            narrow = getattr(self, name)
            wide = _aligned(len(narrow), MARKED)
            used = int(self.numbers[TOP if name == "cold" else OUT])
            wide[:used, :COLD], wide[:used, MARKS:] = narrow[:used], UNMARKED
            setattr(self, name, wide)

    def grow(self) -> None:
        """Double the hash table and find every conversation its new place."""
        slots = np.zeros(len(self.slots) * 2, dtype=np.int64)
        move_slots(self.slots, slots)
        self.slots = slots
        self.numbers[WANTS_SLOTS] = 0


@lean_kernel
def mix(key: Words, secret: Words) -> int:
    """31 bits out of a key: multilinear hashing with random factors, strongly universal (Lemire, Kaser 2014)."""
    mixed: int = secret[15]
    for i in range(4):
        mixed += secret[2 * i] * (key[i] & 0xFFFFFFFF) + secret[2 * i + 1] * ((key[i] >> 32) & 0xFFFFFFFF)
    mixed += secret[8] * (key[ENDS] & 0xFFFFFFFF) + secret[9] * (key[ENDS] >> 32)
    mixed += secret[10] * key[NETWORK]
    mixed += secret[11] * (key[TAGS] & 0xFFFFFFFF) + secret[12] * (key[TAGS] >> 32)
    return (mixed >> 33) & 0x7FFFFFFF


@lean_kernel
def find(key: Words, hashed: int, slots: Words, pool: Words) -> int:
    """Return the row whose key is equal in full, or -1. A slot holds hash << 32 | row + 1; 0 is empty."""
    mask = len(slots) - 1
    place = hashed & mask
    while True:
        slot = slots[place]
        if slot == 0:
            return -1
        if slot >> 32 == hashed:
            row: int = (slot & 0xFFFFFFFF) - 1
            same = pool[row, A_LO] == key[A_LO] and pool[row, B_LO] == key[B_LO] and pool[row, ENDS] == key[ENDS]
            same = same and pool[row, A_HI] == key[A_HI] and pool[row, B_HI] == key[B_HI]
            if same and pool[row, NETWORK] == key[NETWORK] and pool[row, TAGS] == key[TAGS]:
                return row
        place = (place + 1) & mask


@lean_kernel
def enter_slot(hashed: int, row: int, slots: Words) -> None:
    mask = len(slots) - 1
    place = hashed & mask
    while slots[place] != 0:
        place = (place + 1) & mask
    slots[place] = (hashed << 32) | (row + 1)


@rare_kernel
def leave_slot(hashed: int, row: int, slots: Words) -> None:
    """Take a row out; those behind it in its run move up, so that no gap hides them (Knuth 6.4 R)."""
    mask = len(slots) - 1
    place = hashed & mask
    wanted = (hashed << 32) | (row + 1)
    while slots[place] != wanted:
        place = (place + 1) & mask
    following = (place + 1) & mask
    while slots[following] != 0:
        home = (slots[following] >> 32) & mask
        if (following - home) & mask >= (following - place) & mask:
            slots[place] = slots[following]
            place = following
        following = (following + 1) & mask
    slots[place] = 0


@lean_kernel
def move_slots(old: Words, new: Words) -> None:
    mask = len(new) - 1
    for i in range(len(old)):
        if old[i] != 0:
            place = (old[i] >> 32) & mask
            while new[place] != 0:
                place = (place + 1) & mask
            new[place] = old[i]


@lean_kernel
def give_row(numbers: Words, pool: Words) -> int:
    """Return a free row. The caller has made sure that there is one."""
    row: int = numbers[FREE_HEAD]
    if row >= 0:
        numbers[FREE_HEAD] = pool[row, LAST]
    else:
        row = numbers[TOP]
        numbers[TOP] += 1
    numbers[LIVE] += 1
    return row


@lean_kernel
def free_row(row: int, numbers: Words, pool: Words) -> None:
    pool[row, FIRST] = FREE
    pool[row, LAST] = numbers[FREE_HEAD]
    numbers[FREE_HEAD] = row
    numbers[LIVE] -= 1
