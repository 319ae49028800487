"""Kills after each file operation of each writing verb, and what becomes of it.

    python benchmarks/kills.py                    # all jobs; hours on one core, mostly training
    python benchmarks/kills.py series locate      # those whose names hold one of the words
    python benchmarks/kills.py --most 20 train    # at most so many operations of each job

A job is a command with the smallest input. It runs in a fork of this warmed process, where an audit
hook sees what creates, opens for writing, renames, links, cuts or removes something in its folder.
SIGKILL leaves the files as they are at that moment, and what a process still holds in its buffers
goes with it; so one run gives the states of all kills: before each of these operations, the hook
copies the folder, and once more with the half of what was written last. From each copy, the same
command runs again, and with `--resume` where the verb has it; where it overwrites, also without
`--overwrite`. Whatever ends well must leave exactly the files of a run that nothing disturbed,
hidden ones included.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Command = Sequence[str] | Callable[[], object]
Tree = dict[str, str]

#: Audit events that change a folder, and which of their arguments is the folder's handle.
CHANGES = {
    "os.mkdir": 2,
    "os.rename": 2,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": None,
    "os.chmod": 2,
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Longer than any command here takes; then it counts as stuck.
MOST_S = 300
#: What the clock says is another thing each time, and so are checksums of it.
CLOCK = ("arrived", "latency_s", "seconds", "hours", "record_sha256")
TORN = "-torn"
#: Name of the folder that commands run in.
FOLDER = "here"
KINDS = ("lost", "mixed", "stuck", "left over")


@dataclass(frozen=True)
class Job:
    """A command, what was there before, and how it may go on."""

    name: str
    command: Command
    before: tuple[Command, ...] = ()
    """What leaves the files that are there, if there are any."""
    resume: Command | None = None
    """Goes on where the command was killed."""
    plain: Command | None = None
    """The command without leave to overwrite."""


@dataclass
class Outcome:
    """What became of a job's kills."""

    operations: int = 0
    kills: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    """Kind, and where it was."""

    def count(self, kind: str) -> int:
        """Return the number of kills that ended in a kind of fault."""
        return len({where.split(":")[0] for of, where in self.faults if of == kind})


class _Hook:
    """Counts operations in a folder, and copies it before each of them."""

    def __init__(self, folder: Path, copies: Path | None, every: int) -> None:
        self.count = 0
        self._folder, self._copies, self._every = folder, copies, every
        self._written: tuple[Path, int] | None = None
        self._inside = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._inside or (event != "open" and event not in CHANGES):
            return
        self._inside = True
        try:
            path = self._changed(event, arguments)
            if path is None or not path.is_relative_to(self._folder) or path == self._folder:
                return
            self.count += 1
            if self._copies is not None and (self.count - 1) % self._every == 0:
                self._copy(self._copies)
            self._written = None
            if event == "open":
                is_new = arguments[2] & os.O_TRUNC or not path.exists()
                self._written = (path, 0 if is_new else path.stat().st_size)
        finally:
            self._inside = False

    def _changed(self, event: str, arguments: tuple[Any, ...]) -> Path | None:
        """Return the path that an event is about to change."""
        path = arguments[0]
        if event == "open" and (not isinstance(arguments[2], int) or not arguments[2] & WRITING):
            return None
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        place, handle = Path.cwd(), CHANGES.get(event)
        if handle is not None and len(arguments) > handle and arguments[handle] not in (-1, None):
            place = Path(f"/proc/self/fd/{arguments[handle]}").readlink()
        return Path(os.path.normpath(place / os.fsdecode(path)))

    def _copy(self, copies: Path) -> None:
        copy = copies / str(self.count) / FOLDER
        shutil.copytree(self._folder, copy, symlinks=True)
        path, start = self._written or (Path(os.devnull), 0)
        size = path.stat().st_size if path.is_file() else 0
        if size - start > 1:
            torn = copies / f"{self.count}{TORN}" / FOLDER
            shutil.copytree(copy, torn, symlinks=True)
            os.truncate(torn / path.relative_to(self._folder), start + (size - start) // 2)


def run(
    command: Command, folder: Path, *, copies: Path | None = None, every: int = 1
) -> tuple[int, str, int]:
    """Run a command in a fork of this process, in a folder.

    Args:
        command: Arguments of the command line, or a function.
        folder: Current folder of the process.
        copies: Folder for copies of it before each file operation; None for none.
        every: Operations from one copy to the next.

    Returns:
        Exit status (negative for a signal), what it wrote to stderr, and the number of operations.
    """
    with tempfile.TemporaryDirectory() as place:
        said, count = Path(place) / "stderr", Path(place) / "count"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(MOST_S)
                os.chdir(folder)
                hook = _Hook(Path.cwd(), copies, every)
                status = _in_child(command, said, hook)
                count.write_text(str(hook.count))
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        counted = int(count.read_text()) if count.exists() else 0
        return code, said.read_text(errors="replace") if said.exists() else "", counted


def _in_child(command: Command, said: Path, hook: _Hook) -> int:
    with said.open("w") as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
        sys.stdout = sys.stderr = stream
        sys.addaudithook(hook)
        try:
            if callable(command):
                _called(command)
            else:
                from fociscope.cli import main

                sys.argv = ["fociscope", *command]
                main()
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            traceback.print_exc()
            return 1
        return 0


def here(command: Command, folder: Path) -> tuple[int, str, int]:
    """Call a function in this process, as `run` does in a fork; for functions that leave nothing.

    Args:
        command: The function.
        folder: Current folder meanwhile.
    """
    said, before = io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with redirect_stdout(said), redirect_stderr(said):
            assert callable(command)
            _called(command)
    except SystemExit:
        return 1, said.getvalue(), 0
    finally:
        os.chdir(before)
    return 0, said.getvalue(), 0


def _called(command: Callable[[], object]) -> None:
    """Call a function as the command line would: errors that a user can mend become one line."""
    from fociscope.errors import FociscopeError

    try:
        command()
    except FociscopeError as error:
        print(f"error: {error}")
        sys.exit(1)


def tree(folder: Path) -> Tree:
    """Return path -> digest of all files and empty folders, hidden ones included."""
    found: Tree = {}
    for path, folders, files in os.walk(folder):
        for name in files:
            file = Path(path) / name
            found[file.relative_to(folder).as_posix()] = _digest(file)
        if not folders and not files and Path(path) != folder:
            found[f"{Path(path).relative_to(folder).as_posix()}/"] = ""
    return found


def _digest(file: Path) -> str:
    """Return the SHA-256 of a file without what the clock says."""
    content = file.read_bytes()
    if file.suffix == ".json":
        with suppress(ValueError):  # torn
            content = json.dumps(_timeless(json.loads(content))).encode()
    elif file.suffix == ".csv":
        rows = list(csv.reader(io.StringIO(content.decode(errors="replace"))))
        kept = [n for n, name in enumerate(rows[0] if rows else ()) if name not in CLOCK]
        content = repr([[row[n] for n in kept if n < len(row)] for row in rows]).encode()
    elif file.suffix == ".ckpt":
        content = _checkpoint(file)
    return hashlib.sha256(content).hexdigest()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if not any(c in k for c in CLOCK)}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def _checkpoint(file: Path) -> bytes:
    from fociscope.errors import RecipeError
    from fociscope.training._checkpoint import read_checkpoint

    def flat(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(k): flat(v) for k, v in value.items() if k not in CLOCK}
        if isinstance(value, list | tuple):
            return [flat(one) for one in value]
        return value.numpy().tobytes() if hasattr(value, "numpy") else value

    try:
        return repr(flat(read_checkpoint(file))).encode()
    except RecipeError:
        return file.read_bytes()


class Trial:
    """The kills of one job."""

    def __init__(self, job: Job, place: Path, *, forks: bool = True) -> None:
        """Run it undisturbed, twice: what differs then is only looked for.

        Args:
            job: The job.
            place: Folder for its trials, which is removed afterwards by who made it.
            forks: Whether all runs are forks, or only the one whose operations are watched.
        """
        self.job, self._place = job, place
        self._run = run if forks else here
        self.outcome = Outcome()
        self._old = place / "old" / FOLDER
        self._old.mkdir(parents=True)
        for command in job.before:
            code, said, _ = self._run(command, self._old)
            assert code == 0, said
        self.old = tree(self._old)
        trees = []
        for number in range(2):
            new = self._copy(self._old, f"new{number}")
            code, said, self.outcome.operations = self._run(job.command, new)
            assert code == 0, said
            trees.append(tree(new))
        assert trees[0].keys() == trees[1].keys()
        self.varying = {name for name in trees[0] if trees[0][name] != trees[1][name]}
        self.new = trees[0]

    def _copy(self, source: Path, name: str) -> Path:
        target = self._place / name / FOLDER
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, symlinks=True)
        return target

    def kill_all(self, every: int = 1) -> Outcome:
        """Judge each state that a kill leaves, or each so many; return what became of them."""
        copies = self._place / "copies"
        last = self._copy(self._old, "last")
        run(self.job.command, last, copies=copies, every=every)
        states = [*(folder / FOLDER for folder in copies.iterdir()), last]
        for killed in sorted(states, key=lambda path: (len(path.parent.name), path.parent.name)):
            self.outcome.kills += 1
            for kind, why in self._judged(killed):
                self.outcome.faults.append((kind, f"{killed.parent.name}: {why}"))
        return self.outcome

    def _judged(self, killed: Path) -> Iterator[tuple[str, str]]:
        """Yield kind and reason of each fault of a killed state."""
        yield from self._side_by_side(tree(killed))
        ways = [("again", self.job.command)]
        if self.job.resume is not None:
            ways.append(("resumed", self.job.resume))
        ends, refusals = [], []
        for name, command in ways:
            place = self._copy(killed, name)
            code, said, _ = self._run(command, place)
            found = tree(place)
            if code == 0 or self._is(found, self.new):
                ends.append(name)
                yield from self._compared(found, self.new, name)
            elif "Traceback" in said or "error:" not in said:
                yield "stuck", f"{name}: no plain line: {said[-400:]}"
            else:
                refusals.append(f"{name}: {said.strip().splitlines()[-1]}")
        if not ends:
            yield "stuck", "; ".join(refusals)
        if self.job.plain is not None:
            yield from self._without_leave(killed)

    def _without_leave(self, killed: Path) -> Iterator[tuple[str, str]]:
        """Run without leave to overwrite: the old is whole, or the new, or it may go on."""
        assert self.job.plain is not None
        place = self._copy(killed, "plain")
        code, said, _ = self._run(self.job.plain, place)
        if "Traceback" in said:
            yield "stuck", f"plain: no plain line: {said[-400:]}"
        found = tree(place)
        if self._is(found, self.old) or self._is(found, self.new):
            return
        if self.job.resume is not None:
            code, said, _ = self._run(self.job.resume, place)
            found = tree(place)
            if code == 0 and self._is(found, self.new):
                return
        wrong = self._differing(found, self.old)
        kind = "left over" if all("/." in f"/{name}" for name in wrong) else "lost"
        yield kind, f"plain: neither old nor new: {', '.join(wrong)[:300]}"

    def _side_by_side(self, found: Tree) -> Iterator[tuple[str, str]]:
        """Find files of both contents that a reader sees."""
        if not self.old:
            return
        seen = {n: d for n, d in found.items() if "/." not in f"/{n}" and not n.endswith("/")}
        old = {n for n, d in seen.items() if self.old.get(n) == d and self.new.get(n) != d}
        new = {n for n, d in seen.items() if self.old.get(n) != d and n not in self.varying}
        if old and new:
            yield "mixed", f"side by side: old {sorted(old)[:3]}, new {sorted(new)[:3]}"

    def _is(self, found: Tree, wanted: Tree) -> bool:
        return not self._differing(found, wanted)

    def _differing(self, found: Tree, wanted: Tree) -> list[str]:
        names = sorted({*found, *wanted})
        return [
            name
            for name in names
            if found.get(name) != wanted.get(name)
            and not (name in self.varying and name in found and name in wanted)
        ]

    def _compared(self, found: Tree, wanted: Tree, way: str) -> Iterator[tuple[str, str]]:
        wrong = self._differing(found, wanted)
        hidden = [name for name in wrong if "/." in f"/{name}"]
        lost = [name for name in wrong if name not in found]
        other = [name for name in wrong if name not in hidden and name not in lost]
        for kind, names in (("left over", hidden), ("lost", lost), ("mixed", other)):
            if names:
                yield kind, f"{way}: {', '.join(names)[:300]}"


def warmed(job: Job, place: Path) -> None:
    """Import what a job imports, so that its forks need not."""
    place.mkdir(parents=True)
    os.environ["MPLBACKEND"] = "agg"

    def names() -> None:
        from fociscope.cli import main

        for command in (*job.before, job.command):
            if callable(command):
                command()
                continue
            sys.argv = ["fociscope", *command]
            with suppress(SystemExit):
                main()
        Path("modules").write_text("\n".join(sys.modules))

    run(names, place)
    for name in (place / "modules").read_text().splitlines():
        if name.split(".")[0] in WARM:
            try:
                importlib.import_module(name)
            except ImportError:
                continue


#: Packages that take long to import.
WARM = ("fociscope", "torch", "numpy", "scipy", "lightning", "matplotlib", "zarr", "tifffile",
        "pydantic", "typer", "rich", "h5py", "safetensors", "torchmetrics", "PIL",
        "onnx")  # fmt: skip


def main() -> None:
    """Run the jobs that were asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="names of jobs, or parts of them")
    parser.add_argument("--most", type=int, default=10**6, help="operations of each job")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from kill_jobs import jobs, prepare

    with tempfile.TemporaryDirectory() as place:
        top = Path(place).resolve()
        prepare(top / "inputs")
        print("| job | operations | kills | lost | mixed | stuck | left over |", flush=True)
        print("|---|---|---|---|---|---|---|", flush=True)
        for number, job in enumerate(jobs()):
            if options.words and not any(word in job.name for word in options.words):
                continue
            warmed(job, top / f"warm{number}" / "new" / FOLDER)
            trial = Trial(job, top / f"job{number}")
            done = trial.kill_all(-(-trial.outcome.operations // options.most))
            counts = " | ".join(str(done.count(kind)) for kind in KINDS)
            print(f"| {job.name} | {done.operations} | {done.kills} | {counts} |", flush=True)
            for kind, where in done.faults:
                print(f"  {job.name}: {kind}: {where}", file=sys.stderr, flush=True)
            shutil.rmtree(top / f"job{number}")


if __name__ == "__main__":
    main()
