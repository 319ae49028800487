"""NumPy at the door: whatever a user's array looks like in memory."""

import numpy as np
import pytest
import torch

from fociscope.arrays import as_tensor, like

VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize(
    "array",
    [VALUES[:, ::-1], VALUES.astype(">f4"), VALUES.astype(">u2"), VALUES.T, np.float32(3)],
    ids=["flipped", "big-endian float", "big-endian integer", "transposed", "a number"],
)
def test_any_memory_layout_is_taken(array: np.ndarray) -> None:
    tensor = as_tensor(array)
    assert tensor.dtype == torch.float32
    assert np.array_equal(tensor.numpy(), np.asarray(array, dtype=np.float32))


def test_double_precision_is_kept_and_the_kind_returned() -> None:
    doubles = VALUES.astype(np.float64)
    assert as_tensor(doubles).dtype == torch.float64
    assert isinstance(like(as_tensor(doubles), doubles), np.ndarray)
    assert isinstance(like(torch.ones(2), torch.ones(2)), torch.Tensor)
