"""The chance of Go's math/rand, given a seed, so that runs of a simulator written in Go can be repeated draw by draw.

An additive lagged Fibonacci generator after Mitchell and Reeds, x[n] = x[n - 607] + x[n - 273] modulo 2^64, of which 63 bits are
given out. A seed fills the 607 words by a Lehmer generator and mixes in a fixed table; the table is what the same generator holds
7.8e12 steps after seed 1. Nobody needs to store it: those steps are taken at once, as a power of x modulo the polynomial of
the recurrence. Written from this description; no line of Go's is here."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

WORDS, TAP = 607, 273
STEPS = 7_800_000_000_000
LEHMER, PRIME, WARM = 48_271, (1 << 31) - 1, 20
MASK = (1 << 63) - 1

U64 = NDArray[np.uint64]


class GoChance:
    """One seeded generator; the methods draw as Go's functions of these purposes do."""

    def __init__(self, seed: int) -> None:
        self._words = [mixed ^ fixed & MASK for mixed, fixed in zip(_filled(seed, 40, 20), _table(), strict=True)]
        self._tap, self._feed = 0, WORDS - TAP

    def bits63(self) -> int:
        """63 random bits."""
        self._tap, self._feed = (self._tap - 1) % WORDS, (self._feed - 1) % WORDS
        self._words[self._feed] = (self._words[self._feed] + self._words[self._tap]) & MASK
        return self._words[self._feed]

    def below(self, n: int) -> int:
        """From 0 to n - 1, as `Intn`: the remainder of 31 bits that are not among the last, uneven ones."""
        while (drawn := self.bits63() >> 32) > (1 << 31) - 1 - (1 << 31) % n:
            pass
        return drawn % n

    def scaled(self, n: int) -> int:
        """From 0 to n - 1, as `Shuffle` draws: 32 bits times n, of which the high half counts (Lemire, 2019)."""
        product = (self.bits63() >> 31) * n
        while product % (1 << 32) < (1 << 32) % n:
            product = (self.bits63() >> 31) * n
        return product >> 32

    def shuffled(self, items: list[int]) -> list[int]:
        """As `Shuffle`: from the last place down, each is swapped with any up to itself."""
        items = list(items)
        for last in range(len(items) - 1, 0, -1):
            other = self.scaled(last + 1)
            items[last], items[other] = items[other], items[last]
        return items

    def permutation(self, n: int) -> list[int]:
        """As `Perm`: each number is put in at any place, and what was there moves to the end."""
        order: list[int] = []
        for number in range(n):
            place = self.below(number + 1)
            order.append(number)
            order[number], order[place] = order[place], number
        return order


def _filled(seed: int, high: int, low: int) -> list[int]:
    """607 words, each of three numbers of the Lehmer generator laid over one another."""
    x, words = seed % PRIME or 89_482_311, []
    for _ in range(WARM):
        x = x * LEHMER % PRIME
    for _ in range(WORDS):
        x, y, z = (x * LEHMER % PRIME, x * LEHMER**2 % PRIME, x * LEHMER**3 % PRIME)
        words.append((x << high ^ y << low ^ z) % (1 << 64))
        x = z
    return words


@cache
def _table() -> tuple[int, ...]:
    power = np.ones(1, np.uint64)  # x to the power of STEPS, by squaring
    for bit in f"{STEPS:b}":
        power = _reduced(np.convolve(power, power))
        if bit == "1":
            power = _reduced(np.concatenate([np.zeros(1, np.uint64), power]))
    order = [(WORDS - TAP - 1 - step) % WORDS for step in range(WORDS)]  # where step n leaves its word
    start = _filled(1, 20, 10)
    series = np.array([start[place] for place in order] + [0] * WORDS, np.uint64)
    for at in range(WORDS, 2 * WORDS):
        series[at] = np.add(series[at - WORDS : at - WORDS + 1], series[at - TAP : at - TAP + 1])[0]
    table = [0] * WORDS
    for step in range(WORDS):
        table[(WORDS - TAP - 1 - (STEPS - WORDS + step)) % WORDS] = int((power * series[step : step + WORDS]).sum())
    return tuple(table)


def _reduced(coefficients: U64) -> U64:
    """Modulo x^607 = x^334 + 1."""
    while len(coefficients) > WORDS:
        top = min(TAP, len(coefficients) - WORDS)
        keep, high = coefficients[:-top].copy(), coefficients[-top:]
        keep[len(keep) - WORDS :][:top] += high
        keep[len(keep) - TAP :][:top] += high
        coefficients = keep
    return coefficients
