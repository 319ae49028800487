r"""Formulas of pages and docstrings, from LaTeX to MathML while the site is built.

`pymdownx.arithmatex` marks `$...$` and `$$...$$`; this hook replaces these marks by MathML, which
browsers draw themselves. So the site holds no script for mathematics, and works offline. A command
that the converter does not know stops the build.
"""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\s*\\[(\[](?P<latex>.*?)\\[)\]]\s*</(?P=tag)>',
    re.DOTALL,
)
_UNKNOWN_COMMAND = re.compile(r"\\[A-Za-z]+")


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Return a page's HTML with its formulas as MathML.

    Raises:
        PluginError: If a formula has a command that cannot be converted.
    """

    def mathml(match: re.Match[str]) -> str:
        latex = html.unescape(match["latex"]).strip()
        display = "block" if match["tag"] == "div" else "inline"
        formula = convert(latex, display=display)
        unknown = _UNKNOWN_COMMAND.search(formula)
        if unknown:
            raise PluginError(f"{page.file.src_path}: cannot convert {unknown[0]} of ${latex}$")
        return formula

    return _FORMULA.sub(mathml, content)
