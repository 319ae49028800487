"""The command line: one thin verb per job, each in a module of its own.

Heavy imports wait until a verb needs them, so that `--help` answers at once. Whatever a user can
mend ends in one plain line and a non-zero exit. A verb registers itself with `app` when it is
imported here.
"""

from fociscope.cli import adapt as _adapt  # noqa: F401
from fociscope.cli import app as _app  # noqa: F401
from fociscope.cli import calibrate as _calibrate  # noqa: F401
from fociscope.cli import calibrate_model as _calibrate_model  # noqa: F401
from fociscope.cli import demo as _demo  # noqa: F401
from fociscope.cli import design as _design  # noqa: F401
from fociscope.cli import evaluate as _evaluate  # noqa: F401
from fociscope.cli import export as _export  # noqa: F401
from fociscope.cli import imager as _imager  # noqa: F401
from fociscope.cli import info as _info  # noqa: F401
from fociscope.cli import locate as _locate  # noqa: F401
from fociscope.cli import reconstruct as _reconstruct  # noqa: F401
from fociscope.cli import simulate as _simulate  # noqa: F401
from fociscope.cli import train as _train  # noqa: F401
from fociscope.cli.entry import app, main

__all__ = ["app", "main"]
