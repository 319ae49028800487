"""Configuration: what a user writes -> a checked, frozen model, or one plain line of complaint."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import tomllib
import warnings
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    ModelWrapValidatorHandler,
    PlainValidator,
    SerializeAsAny,
    Tag,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from fociscope.errors import FociscopeError, FociscopeWarning, harmless, one_line, printable
from fociscope.registry import Registry, unknown_field

__all__ = [
    "NO_FILES",
    "Configuration",
    "Range",
    "any_kind",
    "changed",
    "field_comments",
    "file_beside",
    "kind_problem",
    "load_toml",
    "number_or_pair",
    "parse_toml",
    "plain_errors",
    "warn_of_former_name",
]


#: Names of alternatives, which pydantic puts among the fields when it says where an error is.
_KINDS: set[str] = set()
#: Type of pydantic's errors that `Configuration` words itself.
_CUSTOM = "configuration"
#: So many errors of one file are listed.
MOST_ERRORS = 20
#: Parts of one name, names, and values in lists, that a TOML file may hold.
_MOST_PARTS, _MOST_NAMES, _MOST_VALUES = 32, 5_000, 100_000
_TOML_PIECE = re.compile(rb"([^,\[\]{}=\n#]*)([,\[\]{}=\n#]|$)")
_TOML_NUMBER = re.compile(rb"\s*[+-]?\d[\d_]*\.\d[\d_]*(?:[eE][+-]?\d+)?\s*$")
_TOML_HEADER = re.compile(rb"(?m)^\s*\[")
#: Where the context of a validation holds the name of a user's file, and its folder.
_SOURCE, _FOLDER = "source", "folder"
#: Context of the validation of a record, which holds all that it means and names no further file.
NO_FILES: dict[str, Any] = {_FOLDER: None}


class Configuration(BaseModel):
    """The parent of all configurations: no unknown fields, no change, finite numbers.

    A constructor raises the class's `error` in one plain line; `model_validate`, with which fields
    of fields are checked, raises pydantic's `ValidationError`, which `plain_errors` words likewise.

    Examples:
        >>> from fociscope.imager import GaussianPsf
        >>> GaussianPsf(spred=0.2)
        Traceback (most recent call last):
        ...
        fociscope.errors.ImagerError: GaussianPsf: spred: no such field; did you mean spread?
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    FORMER_KEYS: ClassVar[dict[str, str]] = {}
    """Former name -> present name of a field; read for one version."""
    error: ClassVar[type[FociscopeError]] = FociscopeError
    """What the constructor raises if a value is not possible."""

    def __init__(self, **values: Any) -> None:
        """Check the values of the fields.

        Raises:
            FociscopeError: If a field is unknown, missing or out of its range; of the type `error`.
        """
        try:
            super().__init__(**values)
        except ValidationError as cause:
            raise self.error(f"{type(self).__name__}: {plain_errors(cause)}") from None

    # Or pydantic would construct fields of fields by it, without the place of their errors.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @model_validator(mode="wrap")
    @classmethod
    def _read_fields(
        cls, values: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        """Read fields under their former names, and say which field an unknown one may mean.

        A file that holds both names of a field is refused.
        """
        if cls.FORMER_KEYS and isinstance(values, dict):
            for old, new in cls.FORMER_KEYS.items():
                if old in values and new not in values:
                    warn_of_former_name(info, old, new)
                    values = {new if key == old else key: v for key, v in values.items()}
        try:
            return handler(values)
        except ValidationError as cause:
            errors = cause.errors()
            if not any(_is_unknown_field(e) for e in errors):
                raise
            raise ValidationError.from_exception_data(
                cause.title, [_with_advice(e, cls) for e in errors]
            ) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Note the name of a kind."""
        kind = cls.model_fields.get("kind")
        if kind is not None and isinstance(kind.default, str):
            _KINDS.add(kind.default)


def _is_unknown_field(error: ErrorDetails) -> bool:
    """Whether a field of the configuration itself, not of one of its fields, is unknown."""
    return error["type"] == "extra_forbidden" and len(error["loc"]) == 1


def _with_advice(error: ErrorDetails, kind: type[Configuration]) -> InitErrorDetails:
    """Return an error as pydantic takes it, an unknown field's with the names that are known."""
    message = error["msg"]
    if _is_unknown_field(error):
        parts = {name: one.default for name, one in kind.model_fields.items()}
        deeper = [
            f"{name}.{inner}"
            for name, part in parts.items()
            if isinstance(part, Configuration)
            for inner in type(part).model_fields
        ]
        message = unknown_field(error["loc"][0], parts, deeper)
    custom = PydanticCustomError(_CUSTOM, "{message}", {"message": message})
    return InitErrorDetails(type=custom, loc=error["loc"], input=error["input"])


def warn_of_former_name(info: ValidationInfo, old: str, new: str) -> None:
    """Warn of a former name in a file that a user writes, as `parse_toml` marks it.

    Records that an earlier version has written are read without a word.
    """
    source = (info.context or {}).get(_SOURCE)
    if source is not None:
        warnings.warn(
            f"{source}: {old} is now called {new}; the former name is read by this version and "
            "not by the next",
            FociscopeWarning,
            stacklevel=2,
        )


def file_beside(info: ValidationInfo, name: str) -> Path:
    """Return the path of a file that a configuration names, beside or below its own file.

    Args:
        info: Of the validation, whose context holds the folder of the configuration's file; without
            one, the values are a program's own, and any path will do.
        name: Name of the file.

    Raises:
        ValueError: If the name leads elsewhere, or the values are those of a record.
    """
    context = info.context or {}
    if _FOLDER not in context:
        return Path(name)
    folder = context[_FOLDER]
    if folder is None:
        raise ValueError(f"names the file {name!r:.60}, expected its content in the record")
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"the file {name!r:.60} lies elsewhere, expected one beside this file")
    return Path(folder, name)


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if not bounds[0] <= bounds[1]:
        raise ValueError("the first number must not be above the second")
    return bounds


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
"""Least and greatest value."""


#: Characters of a value in a message.
LONGEST_VALUE = 60

SomeConfiguration = TypeVar("SomeConfiguration", bound=Configuration)


def kind_problem(base: type[Configuration]) -> Callable[[str, Any], str | None]:
    """Return the check of a registry of kinds: why a class cannot be the kind of a name.

    Args:
        base: Class that all kinds share.

    Returns:
        Function of the name and the class; it returns the reason, or None if there is none.
    """

    def problem(name: str, kind: Any) -> str | None:
        if not (isinstance(kind, type) and issubclass(kind, base)):
            return f"expected a subclass of {base.__name__}"
        if inspect.isabstract(kind):
            return f"it does not define {', '.join(sorted(kind.__abstractmethods__))}"
        field = kind.model_fields.get("kind")
        if field is None or field.default != name:
            return f'its field kind must have the default "{name}", by which files name it'
        return None

    return problem


def any_kind(registry: Registry[Any], base: type[Configuration], *, default: str) -> Any:
    """Return the type of a field that holds a configuration of any registered kind.

    In a file the field is a table whose `kind` names the member of the registry; a table without
    one is of the default kind. The registry may grow after the field was declared.

    Args:
        registry: Kinds, each a subclass of `base` with a field `kind` of that name.
        base: Class that all kinds share.
        default: Kind of a table that names none.

    Returns:
        An annotated type for a field of a `Configuration`.
    """

    def checked(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, base):
            return value
        if not isinstance(value, dict):
            raise ValueError(f"expected a table with a kind: {', '.join(registry)}")
        name = value.get("kind", default)
        if not isinstance(name, str) or name not in registry:
            raise ValueError(str(registry.unknown(name)))
        return registry[name].model_validate(value, context=info.context)

    # `base` is what type checkers and JSON schemas see.
    return Annotated[SerializeAsAny[base], PlainValidator(checked)]  # type: ignore[misc,valid-type]


def number_or_pair(number: Any) -> Any:
    """Return the type of a field that holds a number for both axes, or one for each.

    Args:
        number: Type of one number.

    Returns:
        An annotated type for a field: a pair of two equal numbers is read as one number.
    """
    _KINDS.update(("number", "pair"))

    def tag(value: Any) -> str:
        return "pair" if isinstance(value, list | tuple) else "number"

    def one_if_equal(value: Any) -> Any:
        return value[0] if isinstance(value, tuple) and value[0] == value[1] else value

    kinds = Annotated[number, Tag("number")] | Annotated[tuple[number, number], Tag("pair")]
    return Annotated[kinds, Discriminator(tag), AfterValidator(one_if_equal)]


def plain_errors(error: ValidationError) -> str:
    """Return the errors of a validation as one line.

    Args:
        error: Error that pydantic has raised.

    Returns:
        `field: reason (got value)` for each error, of very many the first, joined by semicolons.
    """

    def plain(key: int | str) -> str:
        text = key if isinstance(key, str) and key.isprintable() else repr(key)
        return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"

    def where(location: tuple[int | str, ...]) -> str:
        return ".".join(plain(key) for key in location if key not in _KINDS) or "file"

    def found(value: object) -> str:
        try:
            text = " ".join(repr(value).split())  # an array's goes over many lines
        except RecursionError:
            text = type(value).__name__
        return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"

    reasons = error.errors(include_url=False)
    listed = [
        f"{where(e['loc'])}: {e['msg'].removeprefix('Value error, ')} (got {found(e['input'])})"
        for e in reasons[:MOST_ERRORS]
    ]
    more = len(reasons) - len(listed)
    return harmless("; ".join([*listed, f"and {more} more"] if more else listed))


def changed(
    configuration: SomeConfiguration,
    changes: dict[str, Any],
    *,
    what: str,
    error: type[FociscopeError],
) -> SomeConfiguration:
    """Return a copy with some fields changed and all of them checked again.

    Args:
        configuration: Configuration to copy.
        changes: New values by field.
        what: Name of the configuration in messages, such as "imager".
        error: Type of the error that is raised if a field is unknown or out of its range.

    Returns:
        A checked copy.
    """
    try:
        return type(configuration).model_validate({**dict(configuration), **changes})
    except ValidationError as cause:
        raise error(f"not a possible {what}: {plain_errors(cause)}") from None


@lru_cache
def field_comments(kind: type[Configuration]) -> dict[str, str]:
    """Return the first paragraph of the docstring of each field of a class and its bases.

    Args:
        kind: Class of a configuration.

    Returns:
        Name of a field -> text in one line; of a class without source, nothing.
    """
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not issubclass(base, Configuration) or base is Configuration:
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, SyntaxError):  # a class of a program that keeps no source
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, text in pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                paragraph = inspect.cleandoc(str(text.value.value)).split("\n\n")[0]
                found[field.target.id] = " ".join(paragraph.split())
    return found


def load_toml(content: bytes) -> dict[str, Any]:
    """Return the values in a TOML file, of which no more is parsed than takes bounded memory.

    Args:
        content: Content of the file, of at most 1 MiB.

    Returns:
        Tables and values by name.

    Raises:
        ValueError: if it is no TOML, has a name of more than 32 parts or more than 5,000 names, or
            more than 100,000 values in its lists.
        RecursionError: if its lists are nested too deep.

    Examples:
        >>> from fociscope.configuration import load_toml
        >>> load_toml(b"pixel_pitch_um = 55.0")
        {'pixel_pitch_um': 55.0}
    """
    # Each part of a name takes the parser a kilobyte, each pair of parts of one name as well.
    names, values = 0, content.count(b",")
    for piece in _TOML_PIECE.finditer(content):
        text, end = piece.groups()
        dots = text.count(b".")
        if dots > _MOST_PARTS:
            raise ValueError(f"a name of more than {_MOST_PARTS} parts")
        if end == b"=" or not _TOML_NUMBER.match(text):
            names += dots
    names += content.count(b"=") + content.count(b"{") + len(_TOML_HEADER.findall(content))
    if names > _MOST_NAMES or values > _MOST_VALUES:
        raise ValueError(
            f"{names} names and {values} values, expected at most {_MOST_NAMES} and {_MOST_VALUES}"
        )
    return tomllib.loads(content.decode("utf-8"))


def parse_toml(
    kind: type[SomeConfiguration],
    content: bytes,
    *,
    source: object,
    error: type[FociscopeError],
    context: dict[str, Any] | None = None,
) -> SomeConfiguration:
    """Read a configuration from the content of a TOML file.

    Args:
        kind: Class of the configuration.
        content: Content of the file.
        source: Name of the file in messages.
        error: Type of the error that is raised if the content is not TOML or no such configuration.
        context: Values for validators, such as the folder of the file.

    Returns:
        The configuration.
    """
    source = printable(str(source))
    try:
        values = load_toml(content)
    except (ValueError, RecursionError) as cause:  # bad TOML, bad UTF-8, endless numbers or nesting
        raise error(f"{source}: not a TOML file: {one_line(cause)}") from None
    try:
        return kind.model_validate(values, context={**(context or {}), _SOURCE: source})
    except ValidationError as cause:
        raise error(f"{source}: {plain_errors(cause)}") from None
