"""Run the tutorial: renew what its page shows, and make the notebook of it.

    python docs/make_tutorial.py            # both
    python docs/make_tutorial.py --notebook # the notebook alone, from the page as it is

What each Python block prints goes into the `text` block behind it, its pictures go to
docs/images/tutorial, and the processor seconds of each block are printed, for the table at the
page's end.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from make_examples import keep_picture
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

DOCS = Path(__file__).parent
PAGE, NOTEBOOK = DOCS / "tutorial.md", DOCS / "tutorial.ipynb"
PICTURES = DOCS / "images" / "tutorial"
#: A Python block, and what it prints if a text block follows.
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<text>.*?)```\n)?", re.DOTALL)
#: The notebook draws its pictures itself.
IMAGE = re.compile(r"^!\[[^\]]*\]\([^)]*\)\n+", re.MULTILINE)


def renewed(page: str) -> str:
    """Return the page with what its blocks print now; keep the pictures that they draw."""
    names: dict[str, object] = {}
    here = Path.cwd()

    def run(block: re.Match[str]) -> str:
        started, printed = time.process_time(), io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block["code"], "tutorial.md", "exec"), names)
        heading = page[: block.start()].rsplit("\n## ", 1)[1].split("\n", 1)[0]
        print(f"{time.process_time() - started:6.1f} s  {heading}", flush=True)
        said = "" if block["text"] is None else f"\n```text\n{printed.getvalue()}```\n"
        return f"```python\n{block['code']}```\n{said}"

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            page = BLOCK.sub(run, page)
            for drawn in sorted(Path(folder).glob("*.png")):
                keep_picture(drawn, PICTURES / drawn.name)
        finally:
            os.chdir(here)
    return page


def notebook_of(page: str) -> str:
    """Return the notebook of a page: its text, its code and what that prints, as JSON."""
    cells, at = [], 0

    def text_until(end: int) -> None:
        text = IMAGE.sub("", page[at:end]).strip()
        if text:
            cells.append(new_markdown_cell(text, id=f"text-{len(cells)}"))

    for block in BLOCK.finditer(page):
        text_until(block.start())
        printed = [new_output("stream", text=block["text"])] if block["text"] else []
        code = re.sub(r"^(.*)\.savefig\((.*)\)$", r"\1", block["code"].strip(), flags=re.MULTILINE)
        cells.append(new_code_cell(code, outputs=printed, id=f"code-{len(cells)}"))
        at = block.end()
    text_until(len(page))
    notebook = new_notebook(cells=cells)
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def main() -> None:
    """Renew page and notebook."""
    page = PAGE.read_text(encoding="utf-8")
    if "--notebook" not in sys.argv[1:]:
        PICTURES.mkdir(parents=True, exist_ok=True)
        page = renewed(page)
        PAGE.write_text(page, encoding="utf-8")
    NOTEBOOK.write_text(notebook_of(page), encoding="utf-8")


if __name__ == "__main__":
    main()
