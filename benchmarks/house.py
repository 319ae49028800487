"""The structure of a checkout in figures: files, circles of imports, long functions, the face.

    python benchmarks/house.py                    # this checkout
    python benchmarks/house.py path/to/another    # another, such as a worktree of a former commit

A file's circle is a set of files that import each other, by way of others or not, imports inside
functions and for type checking included. Functions are counted without their docstring.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import grimp
import networkx

LONGEST_FUNCTION = 60


def functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the name and the lines of each function, its docstring left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node, clean=False) is not None:
                first = node.body[0]
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield node.name, lines


def circles(modules: set[str], graph: grimp.ImportGraph) -> int:
    """Return how many sets of files import each other."""
    arrows = networkx.DiGraph()
    arrows.add_nodes_from(modules)
    for module in modules:
        arrows.add_edges_from(
            (module, other) for other in graph.find_modules_directly_imported_by(module)
        )
    return sum(len(part) > 1 for part in networkx.strongly_connected_components(arrows))


def main(root: Path) -> None:
    """Print one row per figure."""
    source = root / "src"
    sys.path.insert(0, str(source))
    graph = grimp.build_graph("fociscope", cache_dir=None)
    paths = sorted((source / "fociscope").rglob("*.py"))
    lines = [len(path.read_text(encoding="utf-8").splitlines()) for path in paths]
    found = [
        one for path in paths for one in functions(ast.parse(path.read_text(encoding="utf-8")))
    ]
    files = {m for m in graph.modules if not (source / m.replace(".", "/")).is_dir()}
    lone = sum(len(graph.find_modules_that_directly_import(m)) == 1 for m in files)
    listed = "import fociscope; print(len(dir(fociscope)))"
    names = subprocess.run(
        [sys.executable, "-c", listed],
        env={"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    sizes = f"{median(lines):.0f} / {quantiles(lines, n=10)[-1]:.0f} / {max(lines)}"
    for what, value in (
        ("files", len(paths)),
        ("lines", sum(lines)),
        (
            "lines of a file, median / 90th percentile / most",
            sizes,
        ),
        ("functions", len(found)),
        (f"functions over {LONGEST_FUNCTION} lines", sum(n > LONGEST_FUNCTION for _, n in found)),
        ("circles of files", circles(set(graph.modules), graph)),
        ("files that one other file imports", lone),
        ("names in dir(fociscope)", names.stdout.strip()),
    ):
        print(f"| {what} | {value} |")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]).resolve())
