"""Each message that docs/troubleshooting.md quotes is one of the code."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
#: Messages of other programs, which the page quotes too.
FOREIGN = {"operator torchvision::nms does not exist"}


def quoted() -> list[str]:
    """Return the messages: the first cell of a row, where it is code."""
    cells = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [cell for cell in cells if cell not in FOREIGN]


@cache
def texts_of_the_code() -> tuple[str, ...]:
    """Return every string of the package, `…` in place of what is filled in."""
    found = []
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(
                        str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values
                    )
                )
    return tuple(found)


@pytest.mark.parametrize("message", quoted())
def test_message_is_in_the_code(message: str) -> None:
    # What the page leaves out is anything; what it quotes stands in one string, in this order.
    pattern = ".*".join(re.escape(part.strip()) for part in re.split("…", message))

    assert len(re.sub(r"[…\s]", "", message)) >= 10, "too little to be found"
    assert any(re.search(pattern, text, re.DOTALL) for text in texts_of_the_code())


def test_messages_are_quoted() -> None:
    assert len(quoted()) >= 25
