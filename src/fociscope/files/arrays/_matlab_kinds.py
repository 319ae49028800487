"""MATLAB variables that are no plain matrix: what each is called, and how to save it as one."""

from __future__ import annotations

from fociscope.files.formats._sources import NotNumbersError

__all__ = ["not_a_matrix"]

_ADVICE = {
    "struct": ("a struct", "save its fields as variables: save('new.mat', '-struct', '{name}')"),
    "cell": ("a cell array", "join its frames into one array: {name} = cat(3, {name}{{:}})"),
    "sparse": ("a sparse matrix", "save it as a full matrix: {name} = full({name})"),
    "complex": ("complex", "save what is meant of it: {name} = abs({name}), or real({name})"),
    "char": ("text", "save the images as a numeric matrix"),
    "object": ("an object, a table or a function", "save the images as a numeric matrix"),
}


def not_a_matrix(where: str, name: str, kind: str, shape: tuple[int, ...] = ()) -> NotNumbersError:
    """Return the error that says what a variable is, and how to save it.

    Args:
        where: File and variable, for messages.
        name: Variable.
        kind: "struct", "cell", "sparse", "complex", "char"; all else is an object.
        shape: How many cells or values it has along each axis, if that is known.
    """
    what, advice = _ADVICE.get(kind, _ADVICE["object"])
    size = f" of {' x '.join(map(str, shape))}" if shape else ""
    return NotNumbersError(
        f"{where} is {what}{size}, expected a plain matrix of real numbers; "
        f"{advice.format(name=name[:60])}."
    )
