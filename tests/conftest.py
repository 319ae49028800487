"""What all tests share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Keep torch to one thread: tensors here are small, and training sets its own number."""
    torch.set_num_threads(1)
