"""Read the code of the repository: cells of notebooks and whole files; find private names that cross modules."""

import ast
import json
import re
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("threedad", "tests", "tools")


@dataclass
class Code:
    """A piece of code: a cell of a notebook, or a whole file."""

    path: str  # relative to the root of the repository
    place: str  # where it stands, as messages name it
    source: str  # without nbdev's directives
    exported: bool = False  # whether it becomes part of a module

    @cached_property
    def lines(self):
        return self.source.strip("\n").split("\n")

    @cached_property
    def nodes(self):
        """All nodes of the syntax tree, the whole first."""
        text = self.source
        if self.path.endswith(".ipynb"):
            text = TransformerManager().transform_cell(text)  # %magic and !command
        return list(ast.walk(ast.parse(text, self.place)))


def cells(name, root):
    """The code cells of a notebook that hold more than directives."""
    notebook = json.loads((root / name).read_text(encoding="utf-8"))
    for number, cell in enumerate(notebook["cells"]):
        text = "".join(cell["source"])
        source = re.sub(r"^#\s*\|.*\n?", "", text, flags=re.M)
        if cell["cell_type"] == "code" and source.strip():
            exported = bool(re.search(r"^#\s*\|\s*export", text, flags=re.M))
            yield Code(name, f"{name}, cell {number}", source, exported)


@cache
def notebooks(root=ROOT):
    """Each notebook (front page, those that become modules, tutorials, builds) with its cells."""
    paths = [*root.glob("*.ipynb"), *sorted(root.glob("nbs/**/*.ipynb"))]
    names = [path.relative_to(root).as_posix() for path in paths]
    return {n: list(cells(n, root)) for n in names if ".ipynb_checkpoints" not in n}


@cache
def files(root=ROOT):
    """The Python files of library, tests and tools, each as one piece of code."""
    paths = sorted(chain(*((root / folder).rglob("*.py") for folder in FOLDERS)))
    names = [path.relative_to(root).as_posix() for path in paths if path.name != "_modidx.py"]
    return [Code(n, n, (root / n).read_text(encoding="utf-8")) for n in names]


def private(name):
    """Whether a name is private: `_x`, but not `__x__`."""
    return name.startswith("_") and not name.endswith("__")


def imports(code, own, ours):
    """What a piece of code calls other modules of the project, and the private names it imports."""
    modules, taken = set(), []
    for node in code.nodes:
        if isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".")
            if not node.level and parts[0] not in ours:
                continue
            modules |= {a.asname or a.name for a in node.names if a.name in ours - {own}}
            if parts[-1] != own:
                taken += [f"{node.module or '.'}.{a.name}" for a in node.names if private(a.name)]
        elif isinstance(node, ast.Import):
            names = [(a.asname or a.name, a.name.split(".")) for a in node.names]
            modules |= {name for name, parts in names if parts[0] in ours and parts[-1] != own}
    return modules, taken


def crossings(code, ours):
    """Private names that a piece of code takes from another module of this project.

    Args:
        code: the piece of code.
        ours: names of the project's modules, the package among them.
    """
    modules, taken = imports(code, re.sub(r"^\d+_", "", Path(code.path).stem), ours)
    yield from (f"{code.place}: imports {name}" for name in taken)
    for node in code.nodes:
        if isinstance(node, ast.Attribute) and private(node.attr):
            if ast.unparse(node.value) in modules:
                yield f"{code.place}: uses {ast.unparse(node)}"
        elif isinstance(node, ast.Call):  # patch.object(module, "_x"), patch("threedad.module._x")
            for text in (a.value for a in node.args if isinstance(a, ast.Constant)):
                named = re.fullmatch(r"threedad\.(\w+\.)*_\w*[^_\W]", str(text))
                if named or private(str(text)) and ast.unparse(node.args[0]) in modules:
                    yield f"{code.place}: reaches for {text}"


def private_crossings(root=ROOT):
    """Every place where a private name crosses from one module, test or tool to another."""
    ours = {"threedad", *(Path(code.path).stem for code in files(root))}
    every = chain(*notebooks(root).values(), files(root))
    return [said for code in every for said in crossings(code, ours)]
