"""Ctrl-C in the midst of each writing verb, and each verb twice into one folder.

    python benchmarks/interrupts.py                      # all jobs of kill_jobs.py
    python benchmarks/interrupts.py --tries 2 train      # those whose names hold one of the words

SIGINT comes after shares of the time that a job takes by itself. Right is: another exit status than
0 and a plain line (a watch ends well instead), nothing hidden left, nothing of what was there
changed without leave, and the same command, or `--resume`, goes on to the files of a run that
nothing disturbed. The second run of a finished job must be refused in a plain line without leave to
overwrite, and leave what is there; with `--resume` it ends well, and changes nothing.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import kills
from kills import FOLDER, Command, Job, Trial, tree, warmed

#: Longer than any verb takes to end after Ctrl-C; then it counts as stuck.
MOST_END_S = 60.0
KINDS = (*kills.KINDS, "second run")


def interrupted(command: Command, folder: Path, after_s: float) -> tuple[int, str]:
    """Run a command in a fork, send it SIGINT, and return its exit status and what it said."""
    with tempfile.TemporaryDirectory() as place:
        said = Path(place) / "stderr"
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                os.chdir(folder)
                status = kills._in_child(command, said, kills._Hook(folder, None, 1))
            except KeyboardInterrupt:
                said.write_text("Traceback: KeyboardInterrupt")
            finally:
                os._exit(status)
        end = time.monotonic() + after_s
        is_sent = False
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL if is_sent else signal.SIGINT)
                is_sent, end = True, time.monotonic() + MOST_END_S
            time.sleep(0.005)
        code = os.waitstatus_to_exitcode(status)
        return code, said.read_text(errors="replace") if said.exists() else ""


class Interrupts(Trial):
    """The interrupts of one job."""

    def interrupt_all(self, tries: int) -> None:
        """Judge what Ctrl-C leaves after shares of the job's time."""
        self._copy(self._old, "timed")
        began = time.monotonic()
        self._run(self.job.command, self._place / "timed" / FOLDER)
        whole_s = time.monotonic() - began
        for number in range(tries):
            share = (number + 1) / (tries + 1)
            state = self._copy(self._old, "interrupted")
            code, said = interrupted(self.job.command, state, share * whole_s)
            found = tree(state)
            self.outcome.kills += 1
            where = f"{100 * share:.0f} %"
            faults = list(self._after(code, said, found))
            for kind, why in (*faults, *self._judged(state)):
                self.outcome.faults.append((kind, f"{where}: {why}"))

    def _after(self, code: int, said: str, found: kills.Tree) -> list[tuple[str, str]]:
        faults = []
        is_watch = "--watch" in self.job.command if not callable(self.job.command) else False
        if code < 0:
            faults.append(("stuck", f"it had to be killed, or died of signal {-code}"))
        if "Traceback" in said:
            faults.append(("stuck", f"no plain line: {said[-500:]}"))
        elif code == 0 and not is_watch and not self._is(found, self.new):
            faults.append(("stuck", "exit 0, but it is not done"))
        elif code > 0 and not said.strip():
            faults.append(("stuck", f"exit {code} without a word"))
        hidden = [name for name in found if "/." in f"/{name}" and name not in self.old]
        if hidden:
            faults.append(("left over", ", ".join(hidden)[:300]))
        return faults

    def run_twice(self) -> None:
        """Run a finished job again: without leave, and with `--resume`."""
        commands = {"plain": self.job.plain or self.job.command, "resumed": self.job.resume}
        for name, command in commands.items():
            if command is None:
                continue
            place = self._copy(self._place / "new0" / FOLDER, name)
            code, said, _ = self._run(command, place)
            found = tree(place)
            is_overwriting = not callable(command) and "--overwrite" in command
            if "Traceback" in said:
                self._second(f"{name}: no plain line: {said[-400:]}")
            elif name == "resumed" and code != 0:
                self._second(f"{name}: {said[-300:]}")
            elif name == "plain" and code == 0 and not is_overwriting:
                self._second("a second run ends well without leave to overwrite")
            elif name == "plain" and code != 0 and "error:" not in said:
                self._second(f"{name}: no error line: {said[-300:]}")
            if not self._is(found, self.new):
                self._second(f"{name}: changes {self._differing(found, self.new)[:4]}")

    def _second(self, why: str) -> None:
        self.outcome.faults.append(("second run", f"second: {why}"))


def main() -> None:
    """Run the jobs that were asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="names of jobs, or parts of them")
    parser.add_argument("--tries", type=int, default=4, help="interrupts of each job")
    options = parser.parse_args()
    from kill_jobs import jobs, prepare

    def is_asked(job: Job) -> bool:
        return not options.words or any(word in job.name for word in options.words)

    with tempfile.TemporaryDirectory() as place:
        top = Path(place).resolve()
        prepare(top / "inputs")
        print("| job | interrupts | " + " | ".join(KINDS) + " |", flush=True)
        print("|---|---" + "|---" * len(KINDS) + "|", flush=True)
        for number, job in enumerate(filter(is_asked, jobs())):
            warmed(job, top / f"warm{number}" / "new" / FOLDER)
            trial = Interrupts(job, top / f"job{number}")
            trial.interrupt_all(options.tries)
            trial.run_twice()
            counts = " | ".join(str(trial.outcome.count(kind)) for kind in KINDS)
            print(f"| {job.name} | {trial.outcome.kills} | {counts} |", flush=True)
            for kind, where in trial.outcome.faults:
                print(f"  {job.name}: {kind}: {where}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
