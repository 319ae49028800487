"""What is known of very many files: 24 bytes for each, where names as text would take hundreds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fociscope.typing import Int64Array

__all__ = ["Ledger", "digests_of"]


def digests_of(names: Sequence[str]) -> Int64Array:
    """Return a number of 64 bits for each name, the same while this process lasts."""
    return np.fromiter(map(hash, names), np.int64, len(names))


class Ledger:
    """Two numbers of 64 bits for each of many others, found by bisection."""

    def __init__(self) -> None:
        """Start without any."""
        self._keys: Int64Array = np.empty(0, np.int64)
        self._rows: Int64Array = np.empty((0, 2), np.int64)

    def __contains__(self, key: int) -> bool:
        """Return whether a number is known."""
        return self.get(key) is not None

    def get(self, key: int) -> tuple[int, int] | None:
        """Return what is known of a number; None if nothing is."""
        place = int(np.searchsorted(self._keys, key))
        if place == len(self._keys) or self._keys[place] != key:
            return None
        first, second = self._rows[place]
        return int(first), int(second)

    def put(self, key: int, first: int = 0, second: int = 0) -> None:
        """Keep two numbers of another one, in place of those before."""
        place = int(np.searchsorted(self._keys, key))
        if place == len(self._keys) or self._keys[place] != key:
            self._keys = np.insert(self._keys, place, key)
            self._rows = np.insert(self._rows, place, 0, axis=0)
        self._rows[place] = first, second
