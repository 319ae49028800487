"""NPY files that lie or would run code."""

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fociscope.files import read_image

Refused = Callable[..., str]


class Touch:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_npy_of_objects_runs_nothing(tmp_path: Path, refused: Refused) -> None:
    trace = tmp_path / "trace"
    path = tmp_path / "a.npy"
    np.save(path, np.array([[Touch(trace)]], dtype=object), allow_pickle=True)
    refused(read_image, path, "Python objects")
    path.write_bytes(pickle.dumps(Touch(trace)))
    refused(read_image, path)
    assert not trace.exists()


def npy(path: Path, header: str) -> None:
    text = header.encode("latin-1") + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 2, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (8000, 8000)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 'x')}",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (2, 2)}",
        "{'descr': '|V999999999', 'fortran_order': False, 'shape': (2, 2)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 2)}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (2, 2)}",
        "{'descr': '<f4'}",
        "(" * 5000,
        "__import__('os').system('false')",
        "x" * 20_000,
    ],
)
def test_npy_header_lies(tmp_path: Path, header: str, refused: Refused) -> None:
    npy(tmp_path / "a.npy", header)
    refused(read_image, tmp_path / "a.npy")
