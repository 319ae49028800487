"""Suffixes of images in any case: in patterns as in folders."""

from __future__ import annotations

import numpy as np
import pytest

from fociscope.files import open_captures


@pytest.mark.parametrize("pattern", ["*.npy", "*.NPY", "x_?.Npy", ""])
def test_suffixes_match_in_any_case(tmp_path, pattern) -> None:
    for number, name in enumerate(("x_1.npy", "x_2.NPY", "x_3.Npy"), start=1):
        with (tmp_path / name).open("wb") as stream:
            np.save(stream, np.full((4, 5), number))
    with open_captures([tmp_path / pattern]) as series:
        assert [path.name for (path,) in series.pairs] == ["x_1.npy", "x_2.NPY", "x_3.Npy"]
        np.testing.assert_array_equal(series.read()[:, 0, 0, 0], [1, 2, 3])
