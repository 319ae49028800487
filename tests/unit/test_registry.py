"""Registries: names of this package, of users, and of plug-ins; fields of any registered kind."""

from importlib import metadata
from typing import Literal

import pytest
from pydantic import BaseModel, ValidationError

from fociscope.configuration import Configuration, any_kind, kind_problem, plain_errors
from fociscope.errors import FociscopeWarning, SolverError
from fociscope.registry import Registry
from fociscope.solvers import SOLVERS

VALUE = 7


@pytest.fixture
def registry() -> Registry[int]:
    registry: Registry[int] = Registry("solver", group="fociscope.tested", error=SolverError)
    registry.register("admm", 1)
    return registry


def test_an_unknown_name_is_refused_with_the_nearest_one(registry) -> None:
    registry.register("fista", 2)
    with pytest.raises(SolverError, match="no solver 'fisa'; did you mean fista") as refused:
        registry["fisa"]
    assert refused.value.value == "fisa"
    assert refused.value.choices == ("admm", "fista")


def test_get_gives_the_default_for_an_unknown_name(registry) -> None:
    assert registry.get("fisa") is None
    assert registry.get("admm", 3) == 1


def test_a_taken_name_is_refused_unless_replaced(registry) -> None:
    with pytest.raises(SolverError, match="named 'admm' already"):
        registry.register("admm", 2)
    registry.register("admm", 2, replace=True)
    assert registry["admm"] == 2


def _plugins(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    entry = metadata.EntryPoint("outside", value, "fociscope.tested")
    monkeypatch.setattr(
        "fociscope.registry.entry_points",
        lambda group: [entry] if group == "fociscope.tested" else [],
    )


def test_a_plugin_is_found_by_name_and_listed_last(monkeypatch, registry) -> None:
    _plugins(monkeypatch, "math:pi")
    assert registry["outside"] == pytest.approx(3.14159, abs=1e-5)
    assert list(registry) == ["admm", "outside"]


def test_a_broken_plugin_is_warned_of_and_left_out(monkeypatch, registry) -> None:
    _plugins(monkeypatch, "no_such_module:x")
    with pytest.warns(FociscopeWarning, match="'outside' of the plug-in .* cannot be loaded"):
        assert list(registry) == ["admm"]


class Shape(Configuration):
    pass


class Disc(Shape):
    kind: Literal["disc"] = "disc"
    radius_um: float = 10.0


SHAPES: Registry[type[Shape]] = Registry("shape", group="fociscope.tested-shapes")
SHAPES.register("disc", Disc)


class Tilted(Shape):
    kind: Literal["tilted"] = "tilted"


@pytest.mark.parametrize(
    ("name", "member", "reason"),
    [
        ("other", Tilted, 'its field kind must have the default "other"'),
        ("tilted", Tilted(), "expected a subclass of Shape"),
        ("float", float, "expected a subclass of Shape"),
    ],
)
def test_a_kind_that_files_could_not_name_is_refused(name, member, reason) -> None:
    kinds: Registry[type[Shape]] = Registry(
        "shape", group="fociscope.tested-shapes", error=SolverError, problem=kind_problem(Shape)
    )
    with pytest.raises(SolverError, match=reason):
        kinds.register(name, member)
    kinds.register("tilted", Tilted)


def test_a_solver_is_registered_with_its_description() -> None:
    with pytest.raises(SolverError, match="'mine' cannot be a solver: expected a SolverSpec"):
        SOLVERS.register("mine", len)  # type: ignore[arg-type]
    assert "mine" not in SOLVERS


class Holder(Configuration):
    shape: any_kind(SHAPES, Shape, default="disc") = Disc()  # type: ignore[valid-type]


def test_a_field_takes_any_kind_that_is_registered_by_then() -> None:
    class Square(Shape):
        kind: Literal["square"] = "square"
        side_um: float = 3.0

    SHAPES.register("square", Square, replace=True)
    holder = Holder.model_validate({"shape": {"kind": "square", "side_um": 4}})
    assert holder.shape == Square(side_um=4)
    assert Holder.model_validate(holder.model_dump()) == holder
    assert Holder.model_validate({"shape": {"radius_um": 2}}).shape == Disc(radius_um=2)


def test_a_wrong_field_of_a_kind_is_named_with_its_place() -> None:
    with pytest.raises(ValidationError) as refused:
        Holder.model_validate({"shape": {"kind": "disc", "radius_um": "wide"}})
    assert plain_errors(refused.value).startswith("shape.radius_um: ")


def test_an_unknown_kind_is_refused_with_the_kinds() -> None:
    with pytest.raises(ValidationError, match="no shape 'dsc'; did you mean disc"):
        Holder.model_validate({"shape": {"kind": "dsc"}})


def test_a_field_of_any_kind_holds_every_field_when_written() -> None:
    assert isinstance(Holder(), BaseModel)
    assert Holder().model_dump() == {"shape": {"kind": "disc", "radius_um": 10.0}}
