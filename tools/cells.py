"""Measure the cells of the notebooks, and say what breaks the house rules of CONTRIBUTING.md (exit code 1)."""

import ast
import json
import re
import sys
from itertools import chain

import pandas as pd
from source import ROOT, files, notebooks, private_crossings

MEDIAN, CELL, MODULE = 15, 40, 480  # lines: of the exported cells, the longest, all of a notebook
SHORT, LINE = 100, 120  # characters: of 95 % of the exported lines, of any line


def layout(code):
    """Joined statements, lambdas with a name, and lines too long to read beside a file browser."""
    for line in (line for line in code.lines if len(line) > LINE):
        yield f"{code.place}: a line of {len(line)} characters: {line.strip()[:40]}"
    for node in code.nodes:
        for _, block in ast.iter_fields(node):
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                if any(a.end_lineno == b.lineno for a, b in zip(block, block[1:])):
                    yield f"{code.place}: joined by ;, near {ast.unparse(block[0])[:40]!r}"
        if isinstance(node, ast.Assign):
            values = getattr(node.value, "elts", [node.value])
            if any(isinstance(value, ast.Lambda) for value in values):
                yield f"{code.place}: a lambda with a name: {ast.unparse(node)[:40]}"


def long_cells(exported):
    """Exported cells that are too long; a network is one class in one cell, whatever its length."""
    networks = {"Module"}
    for code in exported:
        body = code.nodes[0].body
        classes = [node for node in body if isinstance(node, ast.ClassDef)]
        for c in classes:
            if networks & {ast.unparse(base).split(".")[-1] for base in c.bases}:
                networks.add(c.name)
        whole = len(body) == 1 and classes and classes[0].name in networks
        if len(code.lines) > CELL and not whole:
            yield f"{code.place}: an exported cell of {len(code.lines)} lines, over {CELL}"


def measure(exported):
    """One row of the table: what the exported cells of a notebook, or of all, look like."""
    heights = pd.Series([len(code.lines) for code in exported] or [0])
    widths = [len(line) for code in exported for line in code.lines if line.strip()]
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    made = [sum(isinstance(node, kinds) for node in code.nodes[0].body) for code in exported]
    return dict(
        cells=len(exported),
        median=float(heights.median()),
        largest=int(heights.max()),
        width95=round(pd.Series(widths or [0]).quantile(0.95)),
        widest=max(widths, default=0),
        lines=len(widths),
        several=sum(n > 1 for n in made),  # cells with more than one function or class
    )


def report(root=ROOT):
    """Measures of each notebook and of all together, and every violation as a line of text."""
    code = {n: found for n, found in notebooks(root).items() if re.fullmatch("nbs/[^/]+", n)}
    exported = {n: [c for c in found if c.exported] for n, found in code.items()}
    every = list(chain(*exported.values()))
    table, total = {n: measure(found) for n, found in exported.items()}, measure(every)
    lines = {n: row["lines"] for n, row in table.items()}
    said = [f"{n}: {k} exported lines, over {MODULE}" for n, k in lines.items() if k > MODULE]
    if total["median"] > MEDIAN:
        said.append(f"the median exported cell has {total['median']:g} lines, over {MEDIAN}")
    if total["width95"] >= SHORT:
        said.append(
            f"95 % of the exported lines end before column {total['width95']}, not {SHORT}"
        )
    said += long_cells(every)
    ours = [f for f in files(root) if not f.path.startswith("threedad/")]  # as exported
    said += [text for c in chain(*notebooks(root).values(), ours) for text in layout(c)]
    return dict(notebooks=table, total=total, violations=said + private_crossings(root))


def main():
    """Print the report, with `--json` as JSON; exit with 1 where a rule is broken."""
    found = report()
    if "--json" in sys.argv[1:]:
        print(json.dumps(found, indent=2))
    else:
        rows = found["notebooks"] | {"total": found["total"]}
        print(pd.DataFrame.from_dict(rows, orient="index").to_string(), end="\n\n")
        print(*found["violations"], f"{len(found['violations'])} violations", sep="\n")
    sys.exit(bool(found["violations"]))


if __name__ == "__main__":
    main()
