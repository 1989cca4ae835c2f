"""Measure the cells of the notebooks, and say what breaks the house rules of CONTRIBUTING.md (exit code 1)."""
import ast
import json
import re
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path

import pandas as pd
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).resolve().parents[1]
MEDIAN, CELL, SHORT, LINE, MODULE = 15, 40, 100, 120, 480  # lines, lines, characters, characters, lines


@dataclass
class Code:
    """A piece of code: a cell of a notebook, or a whole file."""
    path: str       # relative to the root of the repository
    place: str      # where it stands, as messages name it
    source: str     # without nbdev's directives
    exported: bool  # whether it becomes part of a module

    @cached_property
    def lines(self):
        return self.source.strip("\n").split("\n")

    @cached_property
    def nodes(self):
        plain = TransformerManager().transform_cell(self.source) if self.path.endswith(".ipynb") else self.source
        return list(ast.walk(ast.parse(plain, self.place)))  # the whole comes first


@cache
def notebooks(root=ROOT):
    """Each notebook (the front page, those that become modules, tutorials, builds) with its cells of code."""
    found = [p.relative_to(root).as_posix() for p in (*root.glob("*.ipynb"), *sorted(root.glob("nbs/**/*.ipynb")))]
    return {name: list(cells(name, root)) for name in found if ".ipynb_checkpoints" not in name}


def cells(name, root):
    """The code cells of a notebook that hold more than directives."""
    for number, cell in enumerate(json.loads((root / name).read_text(encoding="utf-8"))["cells"]):
        text = "".join(cell["source"])
        source = re.sub(r"^#\s*\|.*\n?", "", text, flags=re.M)
        if cell["cell_type"] == "code" and source.strip():
            yield Code(name, f"{name}, cell {number}", source, bool(re.search(r"^#\s*\|\s*export", text, flags=re.M)))


@cache
def files(root=ROOT):
    """The Python files of library, tests and tools, each as one piece of code."""
    found = [p.relative_to(root).as_posix() for d in ("threedad", "tests", "tools") for p in (root / d).rglob("*.py")]
    return [Code(n, n, (root / n).read_text(encoding="utf-8"), False) for n in sorted(found) if "_modidx" not in n]


def private(name):
    """Whether a name is private: `_x`, but not `__x__`."""
    return name.startswith("_") and not name.endswith("__")


def crossings(code, ours):
    """Private names that a piece of code takes from another module of this project (`ours`: names of such modules)."""
    own, modules = re.sub(r"^\d+_", "", Path(code.path).stem), set()
    for node in code.nodes:
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] in ours):
            modules |= {a.asname or a.name for a in node.names if a.name in ours - {own}}
            if (node.module or "").split(".")[-1] != own:
                names = [a.name for a in node.names if private(a.name)]
                yield from (f"{code.place}: imports {node.module or '.'}.{name}" for name in names)
        elif isinstance(node, ast.Import):
            names = [(a.asname or a.name, a.name.split(".")) for a in node.names]
            modules |= {name for name, parts in names if parts[0] in ours and parts[-1] != own}
    for node in code.nodes:
        if isinstance(node, ast.Attribute) and private(node.attr) and ast.unparse(node.value) in modules:
            yield f"{code.place}: uses {ast.unparse(node)}"
        elif isinstance(node, ast.Call):  # mock.patch.object(module, "_x"), mock.patch("threedad.module._x"), getattr
            for text in (a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)):
                named = re.fullmatch(r"threedad\.(\w+\.)*_\w*[^_\W]", text)
                if named or private(text) and ast.unparse(node.args[0]) in modules:
                    yield f"{code.place}: reaches for {text}"


def private_crossings(root=ROOT):
    """Every place where a private name crosses from one module, test or tool to another."""
    ours = {"threedad", *(Path(code.path).stem for code in files(root))}
    return [said for code in chain(*notebooks(root).values(), files(root)) for said in crossings(code, ours)]


def layout(code):
    """Joined statements, lambdas with a name, and lines too long to read beside a file browser."""
    yield from (f"{code.place}: a line of {len(s)} characters: {s.strip()[:40]}" for s in code.lines if len(s) > LINE)
    for node in code.nodes:
        for block in (b for _, b in ast.iter_fields(node) if isinstance(b, list) and b and isinstance(b[0], ast.stmt)):
            if any(first.end_lineno == second.lineno for first, second in zip(block, block[1:])):
                yield f"{code.place}: statements joined by ; near {ast.unparse(block[0])[:40]!r}"
        values = getattr(node.value, "elts", [node.value]) if isinstance(node, ast.Assign) else []
        if any(isinstance(value, ast.Lambda) for value in values):
            yield f"{code.place}: a lambda with a name: {ast.unparse(node)[:40]}"


def long_cells(exported):
    """Exported cells that are too long; a network is one class in one cell, whatever its length."""
    networks = {"Module"}
    for code in exported:
        classes = [n for n in code.nodes[0].body if isinstance(n, ast.ClassDef)]
        networks |= {c.name for c in classes if networks & {ast.unparse(b).split(".")[-1] for b in c.bases}}
        if len(code.lines) > CELL and not (len(code.nodes[0].body) == 1 and classes and classes[0].name in networks):
            yield f"{code.place}: an exported cell of {len(code.lines)} lines, over {CELL}"


def measure(exported):
    """One row of the table: what the exported cells of a notebook, or of all, look like."""
    heights = pd.Series([len(code.lines) for code in exported] or [0])
    wide = pd.Series([len(s) for code in exported for s in code.lines if s.strip()] or [0])
    several = sum(sum(isinstance(n, ast.FunctionDef | ast.ClassDef) for n in c.nodes[0].body) > 1 for c in exported)
    return dict(cells=len(exported), median=float(heights.median()), largest=int(heights.max()),
                width95=round(wide.quantile(.95)), widest=int(wide.max()), lines=len(wide), several=several)


def report(root=ROOT):
    """Measures of each notebook and of all together, and every violation as a line of text."""
    code = notebooks(root)
    exported = {n: [c for c in found if c.exported] for n, found in code.items() if re.fullmatch("nbs/[^/]+", n)}
    table, total = {n: measure(found) for n, found in exported.items()}, measure(list(chain(*exported.values())))
    said = [f"{n}: {row['lines']} exported lines, over {MODULE}" for n, row in table.items() if row["lines"] > MODULE]
    if total["median"] > MEDIAN:
        said.append(f"all notebooks: the median exported cell has {total['median']:g} lines, over {MEDIAN}")
    if total["width95"] >= SHORT:
        said.append(f"all notebooks: 95 % of the exported lines end before column {total['width95']}, not {SHORT}")
    said += long_cells(chain(*exported.values()))
    pieces = chain(*code.values(), files(root))
    said += [text for piece in pieces if not piece.path.startswith("threedad/") for text in layout(piece)]
    return dict(notebooks=table, total=total, violations=said + private_crossings(root))


def main():
    """Print the report, with `--json` as JSON; exit with 1 where a rule is broken."""
    found = report()
    table = pd.DataFrame.from_dict(found["notebooks"] | {"total": found["total"]}, orient="index")
    text = "\n".join([table.to_string(), "", *found["violations"], f"{len(found['violations'])} violations"])
    print(json.dumps(found, indent=2) if "--json" in sys.argv[1:] else text)
    sys.exit(bool(found["violations"]))


if __name__ == "__main__":
    main()
