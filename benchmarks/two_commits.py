"""Two commits measured in turns: speed, start and memory of reconstruction, speed of training.

    python benchmarks/two_commits.py BEFORE AFTER [--rounds 5] [--rows one,batch ...]

Run it in a checkout with the dependencies installed. The sources of both commits are unpacked into
a temporary folder, and each measurement runs in a process of its own: before, after, before, after
and so on, so that a machine that grows slower is fair to both. The table gives the median of the
rounds. `busy` loads every core with another program's work meanwhile.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROWS = {
    "batch": "one capture of a batch of 256, full result (ms)",
    "one": "one capture, warmed, full result (ms)",
    "busy": "the same with every core busy, 90th percentile (ms)",
    "cold": "`fociscope reconstruct A B -o DIR`, whole process (ms)",
    "training": "a training step of `layers-ab`, 32 scenes (ms)",
    "memory": "peak memory of a process that reconstructs one capture (MiB)",
    "large": "peak memory of one that reconstructs 4096x4096 pixels (MiB)",
}

#: Runs in the process that measures; prints one number for the row.
CHILD = """
import json, resource, statistics, sys, time
row = sys.argv[1]
def timed(work, repeats, warm_ups=2):
    for _ in range(warm_ups):
        work()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - start))
    return sorted(taken)
import numpy as np, torch
from fociscope import load_model, simulate
if row == "training":
    from fociscope.training._module import TrainingModule
    from fociscope.training.live_scenes import LiveScenes
    from fociscope.training.recipe import Recipe
    recipe = Recipe.load("layers-ab").stage_recipes()[-1]
    kept = recipe.optimisation.model_copy(update={"compiled": False})
    recipe = recipe.model_copy(update={"optimisation": kept})
    torch.set_num_threads(1)
    stream, module = LiveScenes(recipe), TrainingModule(recipe)
    batch, optimizer = stream.batch([stream.chunk(0)], 0), torch.optim.AdamW(module.parameters())
    mixed = recipe.optimisation.precision in ("auto", "bf16-mixed")
    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = module.losses(batch)[0]["loss"]
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    print(json.dumps(statistics.median(timed(step, 7))))
else:
    model = load_model("layers-ab", device="cpu")
    if row == "large":
        captures = np.random.default_rng(0).random((2, 4096, 4096), np.float32)
        model.reconstruct(captures)
    else:
        captures = simulate(256 if row == "batch" else 1, seed=1).captures
        captures = captures if row == "batch" else captures[0]
        taken = timed(lambda: model.reconstruct(captures), 5 if row == "batch" else 100)
        figure = statistics.median(taken) / (256 if row == "batch" else 1)
        if row == "busy":
            figure = taken[int(0.9 * len(taken))]
    if row in ("memory", "large"):
        figure = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figure))
"""

#: Writes a capture as two TIFF files, the way it is done by every commit.
CAPTURE = """
import sys, tifffile
from fociscope import simulate
captures = simulate(1, seed=1).captures[0]
for name, image in zip("AB", captures):
    tifffile.imwrite(f"{sys.argv[1]}/{name}.tif", image)
"""


def unpacked(commit: str, folder: Path) -> Path:
    """Unpack the sources of a commit, and return their folder."""
    archive = subprocess.run(["git", "archive", commit, "src"], check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as sources:
        sources.extractall(folder, filter="data")
    return folder / "src"


def run(arguments: list[str], sources: Path) -> str:
    """Run Python with the sources of a commit, and return what it prints last."""
    environment = os.environ | {"PYTHONPATH": str(sources)}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def measured(row: str, sources: Path, folder: Path) -> float:
    """Measure a row once."""
    if row == "cold":
        with tempfile.TemporaryDirectory(dir=folder) as parent:
            timing = (
                "import subprocess, sys, time; start = time.perf_counter(); "
                "subprocess.run([sys.executable, '-m', 'fociscope', *sys.argv[1:]], check=True, "
                "capture_output=True); print(1e3 * (time.perf_counter() - start))"
            )
            captures = [str(folder / "A.tif"), str(folder / "B.tif")]
            command = ["-c", timing, "reconstruct", *captures, "-o", f"{parent}/out"]
            return float(run(command, sources))
    with loaded(row == "busy"):
        return float(json.loads(run(["-c", CHILD, row], sources)))


@contextmanager
def loaded(busy: bool) -> Iterator[None]:
    """Keep every core busy within the block, if asked."""
    count = (os.cpu_count() or 1) if busy else 0
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commits", nargs=2, metavar="COMMIT")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", default=",".join(ROWS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        both = [unpacked(commit, folder / str(n)) for n, commit in enumerate(arguments.commits)]
        run(["-c", CAPTURE, str(folder)], both[1])
        print("| | before | after | after / before |\n|---|---|---|---|")
        for row in arguments.rows.split(","):
            figures: list[list[float]] = [[], []]
            for _ in range(arguments.rounds):
                for kept, sources in zip(figures, both, strict=True):
                    kept.append(measured(row, sources, folder))
            before, after = (statistics.median(kept) for kept in figures)
            print(
                f"| {ROWS[row]} | {before:.2f} | {after:.2f} | {after / before:.2f} |", flush=True
            )


if __name__ == "__main__":
    main()
