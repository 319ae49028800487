"""What all tests share."""

from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread_from_the_start() -> None:
    """Keep fixtures of a whole module to one thread, too."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Keep torch to one thread: tensors here are small, and training sets its own number."""
    torch.set_num_threads(1)


class Touch:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.fixture
def touch() -> type[Touch]:
    """What a hostile pickle holds; the trace tells whether it was unpickled."""
    return Touch
