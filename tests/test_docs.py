"""help() says of every public name what it takes and what it gives."""

import ast
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers.docs import problems

ROOT = Path(__file__).resolve().parents[1]


def public():
    """Every function and class in an `__all__` of the library, as module.name; read without importing anything."""
    for path in sorted((ROOT / "threedad").glob("[!_]*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        listed = next(
            ast.literal_eval(n.value) for n in body if ast.unparse(n).startswith("__all__ =")
        )
        made = {n.name for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        yield from (f"{path.stem}.{name}" for name in listed if name in made)


@pytest.mark.parametrize("name", public())
def test_help_says_everything(name):
    module, name = name.split(".")
    said = problems(getattr(importlib.import_module(f"threedad.{module}"), name))
    if said:
        pytest.fail("\n".join(said), pytrace=False)


@pytest.mark.parametrize("module", sorted(p.stem for p in (ROOT / "threedad").glob("[!_]*.py")))
def test_modules_say_what_they_hold(module):
    assert ast.get_docstring(
        ast.parse((ROOT / f"threedad/{module}.py").read_text(encoding="utf-8"))
    )


def whole(points, *rest, scale: float = 1.0) -> list:
    """Scale points.

    Args:
        points: pixels, N x 2.
        *rest: more points,
            in the same form.
        scale (float, optional): what they are multiplied by.

    Returns:
        The scaled points.
    """


def partly(points, scale: float, origin) -> list:
    """Scale points.

    Args:
        points: pixels, N x 2.
        scale: TODO
    """


def bare(points):
    return points


@dataclass
class Box:
    """A rectangle.

    Attributes:
        left: pixels.
        top: pixels.
    """

    left: float
    top: float
    _area: float | None = None

    @property
    def centre(self) -> float:
        """Its middle."""

    def __len__(self) -> int:
        return 4

    def grow(self, by: float) -> "Box":
        """A larger one."""


class Pair(NamedTuple):
    left: float


class Reader:
    """Reads.

    Args:
        path: a file.
    """

    def __init__(self, path, mode):
        pass


@pytest.mark.parametrize(
    "thing, said",
    [
        (whole, []),
        (
            partly,
            [
                "`Args:` says nothing of scale",
                "`Args:` says nothing of origin",
                "no `Returns:` or `Yields:` section",
            ],
        ),
        (bare, ["no docstring"]),
        (Box, ["grow: `Args:` says nothing of by", "grow: no `Returns:` or `Yields:` section"]),
        (Pair, ["no docstring"]),
        (Reader, ["`Args:` says nothing of mode"]),
    ],
)
def test_the_check_itself(thing, said):
    assert problems(thing, library=__name__) == said
