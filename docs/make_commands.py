"""Write docs/commands.md from the command line's own declarations, by Typer's generator.

python docs/make_commands.py
"""

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parent / "commands.md"
HEAD = """# Commands

Every verb with its arguments and options, as `fociscope VERB --help` prints them.
`python docs/make_commands.py` makes this page from the code, and a test fails if it is out of date.

What is required says so; everything else has a default. `fociscope --install-completion` lets the
shell complete verbs, options and names.

"""


def commands() -> str:
    """Return the page."""
    generator = [sys.executable, "-m", "typer", "fociscope.cli.app", "utils", "docs"]
    done = subprocess.run(
        [*generator, "--name", "fociscope"], capture_output=True, text=True, check=True
    )
    body = done.stdout.split("\n", 1)[1]  # without its title
    for written, read in (("&#x27;", "'"), ("&quot;", '"'), ("&lt;=", " ≤ "), ("&gt;=", " ≥ ")):
        body = body.replace(written, read)
    return HEAD + body.strip() + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(commands(), encoding="utf-8")


if __name__ == "__main__":
    main()
