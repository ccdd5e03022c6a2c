#!/usr/bin/env bash
# A hash of signed numbers in a numba kernel: the mask behind a product that wraps may be left out of the machine code.
#
# Versions: numba 0.68.1; Python 3.11.
# Guess: numba counts int64 as numpy does, wrapping; ((a ^ b) * FACTOR) & (2**63 - 1) is never negative, compiled or not.
# Behaviour: numba tells LLVM that signed sums and products do not overflow. Where it can see that both factors are not
# negative (here: both come out of the mask) it concludes that the product is not, and the mask is no work to do: results are negative.
# Called alone the same function is right, since nothing is known of its arguments. With np.uint64 the compiled one and numpy agree.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{ python3 -m venv "$work/env" && "$work/env/bin/pip" install -q --disable-pip-version-check numba==0.68.1; } || exit 2
cd "$work"
env/bin/python - <<'PY'
import sys

import numba
import numpy as np

FACTOR, MASK = 0x2545F4914F6CDD1D, (1 << 63) - 1


def stir(mixed, word):
    mixed = ((mixed ^ word) * FACTOR) & MASK
    return mixed ^ (mixed >> 31)


def unsigned(mixed, word):
    low = np.int64((np.uint64(mixed ^ word) * np.uint64(FACTOR)) & np.uint64(MASK))
    return low ^ (low >> 31)


def twice(step):
    step = numba.njit(step)

    @numba.njit
    def both(words):
        found = np.empty(len(words), np.int64)
        for at in range(len(words)):
            found[at] = step(step(7, words[at] & 0xFFFFFFFF), words[at] & 0xFFFF)
        return found

    return both


words = np.random.default_rng(1).integers(0, 1 << 32, 10_000)
exact = [stir(stir(7, word & 0xFFFFFFFF), word & 0xFFFF) for word in words.tolist()]  # Python's own numbers do not wrap
alone = numba.njit(stir)
seen = {
    "signed, a step in a call of its own": [alone(alone(7, word & 0xFFFFFFFF), word & 0xFFFF) for word in words.tolist()],
    "signed, two steps in one kernel": twice(stir)(words).tolist(),
    "unsigned, two steps in one kernel": twice(unsigned)(words).tolist(),
}
wrong = []
for name, found in seen.items():
    wrong.append(sum(one != other for one, other in zip(found, exact, strict=True)))
    print(f"{name}: {wrong[-1]} of {len(words)} wrong, {sum(one < 0 for one in found)} negative")
sys.exit(not (wrong[0] == 0 and wrong[1] > 1000 and wrong[2] == 0))
PY
