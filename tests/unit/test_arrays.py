"""NumPy at the door: whatever a user's array looks like in memory."""

import numpy as np
import pytest
import torch

from fociscope.arrays import as_tensor, like, whole_number
from fociscope.errors import CaptureError, SceneError

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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (VALUES.astype(complex), "got complex ones"),
        (torch.ones(2, dtype=torch.complex64), "got complex ones"),
        (np.ma.masked_greater(VALUES, 3), "got a masked one"),
        (VALUES.astype(object), "got an array of object"),
        (np.zeros(3, "M8[s]"), "got an array of datetime64"),
        (np.zeros(3, [("a", "f4")]), "got an array of"),
        ({"captures": VALUES}, "got dict"),
        (None, "got NoneType"),
        ([[1.0, 2.0], [3.0]], "expected an array of numbers"),
        (torch.eye(3).to_sparse(), "got a sparse one"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_holds_no_real_numbers_is_refused_with_the_reason(given, message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        as_tensor(given)


def test_a_masked_array_without_masked_values_is_an_array() -> None:
    assert np.array_equal(as_tensor(np.ma.masked_greater(VALUES, 100)).numpy(), VALUES)


def test_an_array_that_may_only_be_read_is_taken_without_a_warning(recwarn) -> None:
    frozen = VALUES.copy()
    frozen.flags.writeable = False
    assert np.array_equal(as_tensor(frozen).numpy(), VALUES)
    assert not recwarn.list


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_whole_numbers_of_any_type_are_whole_numbers(value: object) -> None:
    number = whole_number(value, "layers", error=SceneError)
    assert (number, type(number)) == (3, int)


@pytest.mark.parametrize("value", [2.5, 3.0, "3", None, True, np.bool_(True), [3]])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(SceneError, match="layers must be a whole number; got "):
        whole_number(value, "layers", error=SceneError)
