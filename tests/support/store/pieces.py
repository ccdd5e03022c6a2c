"""Observations cut into pieces at random, as a recorder writes them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from whowas.observation import Observation


def pieces(told: list[Observation], dice: random.Random) -> Iterator[list[Observation]]:
    while told:
        size = dice.choice([1, 3, 20, 100])
        yield told[:size]
        told = told[size:]
