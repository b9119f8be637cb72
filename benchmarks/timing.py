"""Taking times in turn, so that a slow minute of the machine meets all alike."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))


def seconds(work: Callable[[], object]) -> float:
    """What one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(contenders: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The seconds of each contender, one after the other, round after round; says each."""
    taken: dict[str, list[float]] = {who: [] for who in contenders}
    for number in range(1, rounds + 1):
        for who, once in contenders.items():
            taken[who].append(once())
            print(f"round {number} of {rounds}, {who}: {taken[who][-1]:.3f} s", flush=True)
    return taken


def middle(taken: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each."""
    return {who: statistics.median(each) for who, each in taken.items()}
