"""Registries: names -> members, of this package, of its users and of installed plug-ins.

Kinds of point spread functions, specimens, solvers, file formats and result writers are each kept
in one `Registry`. A member is added by `register` in a running program, or by a package that names
it under an entry-point group:

    [project.entry-points."fociscope.solvers"]
    my-solver = "my_package:MY_SOLVER"
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, overload

from fociscope.errors import FociscopeError, FociscopeWarning, one_line

__all__ = ["Registry", "unknown_field", "unknown_name"]

Member = TypeVar("Member")
Other = TypeVar("Other")


def unknown_name(
    what: str,
    name: object,
    names: Iterable[str],
    *,
    error: type[FociscopeError] = FociscopeError,
    of: str = "",
    field: str = "",
    other: str = "",
) -> FociscopeError:
    """Return the error of a name that is unknown: it lists the names and suggests the nearest.

    Args:
        what: What is named, such as "solver".
        name: Unknown name.
        names: Names to choose among.
        error: Type of the error.
        of: What should have something of that name, such as "the solver 'fista'".
        field: Argument or option that holds the name, if there is one.
        other: What may be done in place of it, such as "give a .toml file".
    """
    names = tuple(names)
    subject = f"{_shown(name)} of {of}" if of else _shown(name)
    advice = f"{_advice(name, names)}, or {other}" if other else _advice(name, names)
    return error(
        f"no {what} {subject}; {advice}",
        fields=(field,) if field else (),
        value=name,
        choices=names,
    )


def unknown_field(name: object, names: Iterable[str], deeper: Iterable[str] = ()) -> str:
    """Return what is wrong with a field of an unknown name, with the nearest one or all.

    Args:
        name: Unknown name.
        names: Names of the fields.
        deeper: Names of fields of the fields, such as `psf.half_angle_deg`.
    """
    names = tuple(names)
    near = _nearest(name, names) or _nearest(name, tuple(deeper))
    return f"no such field; {f'did you mean {near}?' if near else _advice(name, names)}"


def _advice(name: object, names: tuple[str, ...]) -> str:
    near = _nearest(name, names)
    advice = f"did you mean {near}? Choose" if near else "choose"
    return f"{advice} among: {', '.join(names)}"


def _nearest(name: object, names: tuple[str, ...]) -> str | None:
    """Return the name that is most like another one; None if none is."""
    plain = {_plain(known.rpartition(".")[2]): known for known in reversed(names)}
    near = difflib.get_close_matches(_plain(str(name)[:100]), plain, n=1)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _shown(name: object) -> str:
    return repr(one_line(ValueError(str(name)), 60))


class Registry(Mapping[str, Member], Generic[Member]):
    """Members by name, in the order in which they were registered; plug-ins follow.

    Plug-ins are imported when a name is looked up that is not registered, or when the registry is
    listed.

    Examples:
        >>> from fociscope.registry import Registry
        >>> colours = Registry("colour", group="fociscope.colours")
        >>> colours.register("teal", "#008080")
        >>> colours["teal"], list(colours)
        ('#008080', ['teal'])
        >>> colours["teel"]  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        fociscope.errors.FociscopeError: no colour 'teel'; did you mean teal? Choose among: teal...
    """

    def __init__(
        self,
        what: str,
        *,
        group: str,
        error: type[FociscopeError] = FociscopeError,
        problem: Callable[[str, Any], str | None] | None = None,
    ) -> None:
        """Create an empty registry.

        Args:
            what: What a member is, for messages, such as "solver".
            group: Entry-point group under which plug-in packages add members.
            error: Type of the error that is raised if a name is unknown or taken.
            problem: Function that is called with a name and its member, and returns why the member
                cannot stand under that name, or None; without it, any member can.
        """
        self.what, self.group, self.error = what, group, error
        self._problem = problem
        self._members: dict[str, Member] = {}
        self._has_plugins = False

    def register(self, name: str, member: Member, *, replace: bool = False) -> None:
        """Add a member.

        Args:
            name: Name that users give.
            member: Object to be found under it.
            replace: Whether a member of the same name may be replaced.

        Raises:
            FociscopeError: If the name is taken and `replace` is not set, or if the member cannot
                stand under that name.
        """
        if name in self._members and not replace:
            raise self.error(
                f"there is a {self.what} named {name!r} already; choose another name, or "
                "replace=True",
                fields=("replace",),
                value=name,
            )
        self._check(name, member)
        self._members[name] = member

    def _check(self, name: str, member: Member) -> None:
        reason = None if self._problem is None else self._problem(name, member)
        if reason is not None:
            raise self.error(f"{name!r} cannot be a {self.what}: {reason}", value=name)

    def unregister(self, name: str) -> None:
        """Remove a member, such as one that a test has added.

        Args:
            name: Name of the member.

        Raises:
            FociscopeError: If there is no such member.
        """
        self[name]
        del self._members[name]

    def __getitem__(self, name: str) -> Member:
        """Return the member of a name.

        Raises:
            FociscopeError: If there is no such member; the message lists the names and suggests the
                nearest one.
        """
        if name not in self._members:
            self._load_plugins()
        try:
            return self._members[name]
        except KeyError:
            raise self.unknown(name) from None

    @overload
    def get(self, name: str, default: None = None, /) -> Member | None: ...
    @overload
    def get(self, name: str, default: Member | Other, /) -> Member | Other: ...
    def get(self, name: str, default: object = None, /) -> object:
        """Return the member of a name, or the default if there is none."""
        return self[name] if name in self else default  # noqa: SIM401 - this is get

    def unknown(self, name: object, *, other: str = "") -> FociscopeError:
        """Return the error that says that a name is unknown, with the names that are known.

        Args:
            name: Unknown name.
            other: What may be done in place of it, such as "give a .toml file".
        """
        package = "import or install the package that adds it"
        other = f"{other}, or {package}" if other else package
        return unknown_name(self.what, name, self, error=self.error, other=other)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, those of plug-ins last."""
        self._load_plugins()
        return iter(tuple(self._members))

    def __len__(self) -> int:
        """Return the number of members."""
        self._load_plugins()
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        """Return whether there is a member of this name; never raises."""
        if name not in self._members:
            self._load_plugins()
        return name in self._members

    def _load_plugins(self) -> None:
        if self._has_plugins:
            return
        self._has_plugins = True
        for entry in entry_points(group=self.group):
            if entry.name not in self._members:
                self._load(entry)

    def _load(self, entry: EntryPoint) -> None:
        try:
            member = entry.load()
            self._check(entry.name, member)
            self._members[entry.name] = member
        except (ImportError, AttributeError, FociscopeError) as error:
            warnings.warn(
                f"the {self.what} {entry.name!r} of the plug-in {entry.value!r} cannot be loaded "
                f"({one_line(error)}); update or uninstall that package",
                FociscopeWarning,
                stacklevel=4,
            )
