"""ZIP archives that nobody has vouched for: how long their list of members is, and each member.

Format: APPNOTE.TXT of PKWARE (the directory at the end of a ZIP archive).
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from fociscope.errors import FileFormatError, printable

__all__ = ["check_member", "read_directory"]

_END = struct.Struct("<4s4H2IH")
_LONGEST_COMMENT_BYTES = 2**16
_END_64_BYTES, _LOCATOR_64_BYTES = 56, 20
_MOST_RATIO = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}
"""Bytes that one stored byte may stand for (zlib's technical details: 1032:1 for deflate)."""


def read_directory(path: Path, longest_bytes: int) -> bytes:
    """Return the list of members as it is stored, once its size is held against a limit.

    `zipfile` would believe in any number of members.

    Raises:
        FileFormatError: If the list is longer.
        ValueError: If there is none.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        tail_bytes = min(size, _END.size + _LONGEST_COMMENT_BYTES)
        stream.seek(size - tail_bytes)
        tail = stream.read(tail_bytes)
        place = tail.rfind(b"PK\x05\x06")
        if place < 0 or place + _END.size > len(tail):
            raise ValueError("no directory at its end; it is truncated")
        directory = _END.unpack_from(tail, place)[5]
        end = size - tail_bytes + place
        before = end - _END_64_BYTES - _LOCATOR_64_BYTES
        if before >= 0:
            stream.seek(before)
            record = stream.read(_END_64_BYTES)
            if record.startswith(b"PK\x06\x06"):
                directory, end = struct.unpack_from("<Q", record, 40)[0], before
        if directory > longest_bytes:
            raise FileFormatError(
                f"{printable(path)}: a directory of {directory} bytes, expected at most "
                f"{longest_bytes}; save frames as one array (frame, sensor, y, x)."
            )
        stream.seek(max(end - directory, 0))
        return stream.read(directory)


def check_member(where: str, member: zipfile.ZipInfo) -> int:
    """Return the most bytes that a member can stand for.

    Args:
        where: File and member, for messages.
        member: Entry of the list.

    Raises:
        FileFormatError: If it is encrypted, or compressed in another way than deflate.
    """
    if member.flag_bits & 1 or member.compress_type not in _MOST_RATIO:
        raise FileFormatError(
            f"{where} is encrypted or compressed in an unusual way, expected deflate or nothing; "
            "pack it again, without encryption."
        )
    return _MOST_RATIO[member.compress_type] * member.compress_size
