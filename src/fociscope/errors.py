"""What Fociscope raises: every message says what was found, what was expected and what to do."""

from __future__ import annotations

import operator
import unicodedata
import warnings
from pathlib import Path
from typing import Any

__all__ = [
    "CaptureError",
    "FileFormatError",
    "FociscopeError",
    "FociscopeWarning",
    "ImagerError",
    "ModelError",
    "OutputExistsError",
    "RecipeError",
    "SceneError",
    "SolverError",
    "former_attribute",
    "harmless",
    "one_line",
    "printable",
    "whole_number",
]


def former_attribute(old: str, new: str) -> Any:
    """Return a property that reads the attribute `new` under its former name, for one version."""

    def read(self: object) -> Any:
        warnings.warn(
            f"{type(self).__name__}.{old} is now called {new}", DeprecationWarning, stacklevel=2
        )
        return getattr(self, new)

    return property(read, doc=f"The former name of `{new}`, for one version.")


class FociscopeError(Exception):
    """The parent of all errors that a user can mend; the command line prints them in one line.

    Attributes:
        fields: Names of the arguments or options that would mend it, such as `("resume",)`. The
            command line names its own options for them.
        value: The offending value, if there is one.
        least: The smallest value allowed, if there is a bound.
        most: The largest value allowed, if there is a bound.
        choices: The values allowed, if they can be listed.

    Examples:
        >>> import fociscope
        >>> from fociscope.errors import FociscopeError
        >>> try:
        ...     fociscope.load_model("no-such-model")
        ... except FociscopeError as error:
        ...     print(type(error).__name__)
        ModelError
    """

    def __init__(
        self,
        message: str = "",
        *,
        fields: tuple[str, ...] = (),
        value: object = None,
        least: float | None = None,
        most: float | None = None,
        choices: tuple[str, ...] = (),
    ) -> None:
        """Create an error.

        Args:
            message: What was found, what was expected and what to do, in one line.
            fields: As the attribute.
            value: As the attribute.
            least: As the attribute.
            most: As the attribute.
            choices: As the attribute.
        """
        super().__init__(message)
        self.fields, self.value = fields, value
        self.least, self.most, self.choices = least, most, choices


class FileFormatError(FociscopeError):
    """A file is missing, broken, unsafe, or not what its reader expects."""


class CaptureError(FociscopeError):
    """A capture cannot be reconstructed: wrong shape, NaN, nothing in it."""


class ImagerError(FociscopeError):
    """An imager's description is incomplete, contradictory, or not the one a model was made for."""


class SceneError(FociscopeError):
    """A scene cannot be simulated as asked, such as layers that do not fit between the sensors."""


class SolverError(FociscopeError):
    """A solver is asked for what it cannot do, such as a negative regularisation."""


class ModelError(FociscopeError):
    """A trained model is unknown, damaged, or of a format this version does not read."""


class RecipeError(FociscopeError):
    """A training recipe, or the state of a training run, does not hold together."""


class OutputExistsError(FociscopeError):
    """The output is there already, and nobody asked to overwrite it."""


class FociscopeWarning(UserWarning):
    """Something a user should know although the work goes on.

    Attributes:
        fields: Names of the arguments or options that would mend it, as for `FociscopeError`.

    Examples:
        >>> import warnings
        >>> from fociscope.errors import FociscopeWarning
        >>> warnings.simplefilter("error", FociscopeWarning)  # stop at the first one
        >>> warnings.resetwarnings()
    """

    def __init__(self, message: str = "", *, fields: tuple[str, ...] = ()) -> None:
        """Create a warning.

        Args:
            message: What was found, and what to do, in one line.
            fields: As the attribute.
        """
        super().__init__(message)
        self.fields = fields


def printable(path: Path | str) -> str:
    """Return a path or a name as messages print it: quoted where it would break the line."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def harmless(text: str) -> str:
    r"""Return text with all letters written out that would steer a terminal.

    Args:
        text: Text that may come from a file: a name, a note, a message.

    Returns:
        The text; line feeds and spaces of all widths stay.

    Examples:
        >>> from fociscope.errors import harmless
        >>> print(harmless("a\x1b[31m.tif"))
        a\x1b[31m.tif
    """
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable() or letter == "\n" or unicodedata.category(letter) == "Zs"
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def one_line(error: BaseException, length: int = 160) -> str:
    """Return what an exception says, on one line of at most `length` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(letter if letter.isprintable() else "?" for letter in text)  # from the file
    return text if len(text) <= length else text[: length - 3] + "..."


def whole_number(value: object, what: str, *, error: type[FociscopeError]) -> int:
    """Return a whole number of any type as an `int`.

    Args:
        value: Number, of Python or NumPy.
        what: Its name, for the message.
        error: Type of the error.

    Raises:
        FociscopeError: If it is no whole number, or a truth value; of the type `error`.
    """
    try:
        if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):  # of NumPy, too
            raise TypeError
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise error(f"{what} must be a whole number; got {value!r:.60}") from None
