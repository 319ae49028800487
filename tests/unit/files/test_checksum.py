import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from fociscope.files.safe.checksum import sha256, total_bytes


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    assert total_bytes(tmp_path / "a") == 3


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_a_folder_has_the_checksum_that_the_documentation_says(tmp_path: Path) -> None:
    for name in ("zarr.json", "b/zarr.json", "a/c/0/10", "a/c/0/9", "A/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    command = "find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    ran = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert sha256(tmp_path) == ran.stdout.split()[0]
    assert total_bytes(tmp_path) == 38
    before = sha256(tmp_path)
    (tmp_path / "b" / "zarr.json").rename(tmp_path / "b" / "zarr.jsom")
    assert sha256(tmp_path) != before
