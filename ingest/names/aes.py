"""AES-128 (FIPS 197) of many blocks at once, for keys that everybody can derive: nothing here keeps a secret.

QUIC hides its first packets under such keys, so that one block cipher is all it takes; a library for secrets would be a
large dependency for it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Blocks = npt.NDArray[np.uint8]
ROUNDS = 10
# Column by column, row r moves r columns to the left.
SHIFTED = np.array([(4 * (column + row) + row) % 16 for column in range(4) for row in range(4)])


def _double(value: int) -> int:
    return (value << 1) ^ (0x11B if value & 0x80 else 0)


def _substitutes() -> list[int]:
    """The S-box: inverses in the field, by its generator 3, then the affine map."""
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value ^= _double(value)
    found = [0x63] * 256
    for place, one in enumerate(powers):
        inverse = powers[-place % 255]
        turned = inverse
        for shift in range(1, 5):
            turned ^= (inverse << shift | inverse >> (8 - shift)) & 0xFF
        found[one] = turned ^ 0x63
    return found


SBOX = np.array(_substitutes(), dtype=np.uint8)
DOUBLED = np.array([_double(value) & 0xFF for value in range(256)], dtype=np.uint8)


@lru_cache(maxsize=64)
def _round_keys(key: bytes) -> tuple[Blocks, ...]:
    words = [list(key[at : at + 4]) for at in range(0, 16, 4)]
    constant = 1
    for number in range(4, 4 * (ROUNDS + 1)):
        last = words[-1]
        if number % 4 == 0:
            last = [int(SBOX[one]) for one in (*last[1:], last[0])]
            last[0] ^= constant
            constant = _double(constant)
        words.append([one ^ other for one, other in zip(words[-4], last, strict=True)])
    flat = np.array(words, dtype=np.uint8).reshape(ROUNDS + 1, 16)
    return tuple(flat)


def _mix(state: Blocks) -> Blocks:
    """Each column times the matrix of 2, 3, 1, 1."""
    columns = state.reshape(-1, 4, 4)
    following = np.roll(columns, -1, axis=2)
    whole = columns[:, :, :1] ^ columns[:, :, 1:2] ^ columns[:, :, 2:3] ^ columns[:, :, 3:]
    mixed: Blocks = columns ^ whole ^ DOUBLED[columns ^ following]
    return mixed.reshape(-1, 16)


def encrypt(key: bytes, blocks: Blocks) -> Blocks:
    """Encrypt (n, 16) blocks under a key of 16 bytes."""
    keys = _round_keys(key)
    state: Blocks = blocks ^ keys[0]
    for number in range(1, ROUNDS):
        state = _mix(SBOX[state][:, SHIFTED]) ^ keys[number]
    last: Blocks = SBOX[state][:, SHIFTED] ^ keys[ROUNDS]
    return last


def counter_mode(key: bytes, nonce: bytes, data: bytes) -> bytes:
    """Undo the encryption of AES-GCM with a nonce of 12 bytes, without a look at its tag."""
    number = -(-len(data) // 16)
    blocks = np.empty((number, 16), dtype=np.uint8)
    blocks[:, :12] = np.frombuffer(nonce, dtype=np.uint8)
    blocks[:, 12:] = np.arange(2, number + 2, dtype=">u4").view(np.uint8).reshape(number, 4)
    stream = encrypt(key, blocks).reshape(-1)[: len(data)]
    return bytes(stream ^ np.frombuffer(data, dtype=np.uint8))
