"""How long a user waits: medians over repeats, each in a process of its own.

python benchmarks/startup.py > benchmarks/startup.md
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BARE = "pass"
IMPORT = "import fociscope"
VERB = "import sys; sys.argv = ['fociscope', {words}]; from fociscope.cli import main; main()"


def seconds(code: str, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            ready = code.replace("FOLDER", str(Path(folder) / "demo"))
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", ready], check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    bare = seconds(BARE, 15)
    print("| what | median (s) | times a bare interpreter | target (s) |")
    print("|---|---|---|---|")
    print(f"| `python -c pass` | {bare:.2f} | 1.0 | |")
    for name, code, repeats, target in (
        ("`import fociscope`", IMPORT, 15, "1"),
        ("`fociscope --help`", VERB.format(words="'--help'"), 15, "1.5"),
        ("`fociscope demo`", VERB.format(words="'demo', '-o', 'FOLDER'"), 5, "60"),
    ):
        took = seconds(code, repeats)
        print(f"| {name} | {took:.2f} | {took / bare:.1f} | {target} |")


if __name__ == "__main__":
    main()
