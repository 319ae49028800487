"""All generated files end in one plain message, within 5 s and 1 GiB, measured in a child process.

`python tests/hostile/test_generated_files.py > benchmarks/hostile.md` lists the cases.
"""

from __future__ import annotations

import collections
import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
reading = importlib.import_module("read_cases")
sys.path.remove(str(HERE))

#: What a user can mend; the command line prints these without a traceback.
PLAIN = {
    "FileFormatError",
    "NotNumbersError",
    "ModelError",
    "ImagerError",
    "RecipeError",
    "CaptureError",
}

HEADING = """\
# Hostile files

Made by `tests/hostile` and read in a child process, each case under limits of 5 s and 1 GiB: how
long it took, by how much memory grew, and what the user is told.

```sh
python tests/hostile/test_generated_files.py > benchmarks/hostile.md
```

{summary}

| case | error | s | MiB | message |
|---|---|---|---|---|"""

if not Path("/proc/self/clear_refs").exists():
    pytest.skip("the memory of a process is measured through /proc", allow_module_level=True)


def outcomes(folder: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    """Build all cases, and read them in as few children as survive them."""
    for name in names:
        place = folder / name
        place.mkdir()
        path = reading.CASES[name](place)
        (place / "path.json").write_text(json.dumps(str(path)))
    found: dict[str, dict[str, Any]] = {}
    waiting = list(names)
    while waiting:
        child = subprocess.run(
            [sys.executable, str(HERE / "read_cases.py"), str(folder), *waiting],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        lines = [json.loads(line) for line in child.stdout.splitlines()]
        found |= {line["name"]: {**line, "stderr": child.stderr} for line in lines}
        waiting = waiting[len(lines) :]
        if waiting:  # its alarm, its limit, or a crash of a library
            found[waiting[0]] = {
                "raised": f"the end of the process ({child.returncode})", "message": "",
                "seconds": 0, "grown": 0, "stderr": child.stderr[-2000:],
            }  # fmt: skip
            waiting = waiting[1:]
    return found


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return outcomes(tmp_path_factory.mktemp("hostile"), list(reading.CASES))


@pytest.mark.parametrize("name", list(reading.CASES))
def test_one_plain_message(found: dict[str, dict[str, Any]], name: str) -> None:
    outcome = found[name]
    assert outcome["raised"] in PLAIN, outcome
    assert outcome["message"].isprintable()
    assert len(outcome["message"]) < 700
    assert outcome["seconds"] < reading.SECONDS
    assert outcome["grown"] < reading.MEMORY_BYTES
    assert outcome["stderr"] == ""


def test_nothing_was_unpickled(
    found: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert not list(tmp_path_factory.getbasetemp().rglob("touched*"))


def summary(outcomes_: dict[str, dict[str, Any]]) -> str:
    """Count the cases by kind of file, and those that do not end in one plain line."""
    kinds = collections.Counter(name.partition("_")[0] for name in outcomes_)
    faults = [name for name, one in outcomes_.items() if one["raised"] not in PLAIN]
    seconds = max(one["seconds"] for one in outcomes_.values())
    grown = max(one["grown"] for one in outcomes_.values()) / 2**20
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    plain, listed_faults = len(outcomes_) - len(faults), "".join(f" `{name}`" for name in faults)
    return (
        f"**{len(outcomes_)} cases, each tried once: {plain} end in one plain line, "
        f"{len(faults)} in anything else{listed_faults}.**\n"
        f"The longest took {seconds:.2f} s, the largest {grown:.0f} MiB. By kind: {listed}."
    )


def main() -> None:
    """Print the list of cases with their outcomes."""
    with tempfile.TemporaryDirectory() as place:
        found = outcomes(Path(place), list(reading.CASES))
        print(HEADING.format(summary=summary(found)))
        for name, outcome in sorted(found.items()):
            message = str(outcome["message"]).replace(f"{place}/{name}/", "").replace("|", "\\|")
            print(f"| {name} | {outcome['raised']} | {outcome['seconds']:.2f} "
                  f"| {outcome['grown'] / 2**20:.0f} | {message} |")  # fmt: skip


if __name__ == "__main__":
    main()
