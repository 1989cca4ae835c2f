"""Draw docs/images/rooms.svg: the modules by chapter, and which chapters each of them imports from."""

import ast
import re
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = {
    0: ("foundations", "#56B4E9"),
    1: ("video to coefficients", "#009E73"),
    2: ("synthesis and forgery", "#E69F00"),
    3: ("corpora and stores", "#F0E442"),
    4: ("networks", "#D55E00"),
    5: ("learning", "#CC79A7"),
    6: ("judging", "#0072B2"),
    7: ("showing", "#999999"),
    8: ("using", "#8C6BB1"),
}
LEFT, TILE, HIGH, GAP, WIDE = 190, 144, 50, 8, 4  # pixels; WIDE is in tiles

STYLE = """
  .page { fill: #ffffff; stroke: #d0d4da } .band { fill: #f4f5f7 } .tile { fill: #ffffff; stroke: #b9bfc8 }
  text { fill: #1b1f24; font: 13px system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif }
  .module { font-weight: 600 } .note { fill: #57606a; font-size: 12px } .digit { fill: #111111; font-size: 10px }
  .pale { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    .page { fill: #16191d; stroke: #30363d } .band { fill: #1e2228 } .tile { fill: #272c33; stroke: #4a525c }
    text { fill: #e6edf3 } .note { fill: #9aa4af } .digit { fill: #111111 } .pale { fill: #ffffff }
  }"""


def rooms(root: Path = ROOT) -> dict[str, tuple[int, set[str]]]:
    """The number of every module's notebook and the modules it imports, also inside functions.

    Args:
        root: where threedad/ is.

    Returns:
        Number and imported modules by the module's name, in the order of the numbers.
    """
    found = {}
    for path in (root / "threedad").glob("[!_]*.py"):
        text = path.read_text(encoding="utf-8")
        number, imported = int(re.search(r"File to edit: \S*?/(\d+)_\w+\.ipynb", text)[1]), set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom):
                parts = (["threedad"] if node.level else []) + (node.module or "").split(".")
                whole = [p for p in parts if p] == [
                    "threedad"
                ]  # from threedad import x, from . import x
                imported |= (
                    {a.name for a in node.names}
                    if whole
                    else {parts[1]}
                    if parts[0] == "threedad"
                    else set()
                )
            elif isinstance(node, ast.Import):
                imported |= {
                    a.name.split(".")[1] for a in node.names if a.name.startswith("threedad.")
                }
        found[path.stem] = number, imported - {path.stem}
    known = {name: (number, imported & found.keys()) for name, (number, imported) in found.items()}
    return dict(sorted(known.items(), key=lambda item: item[1][0]))


def chip(x: float, y: float, chapter: int, side: int = 13) -> str:
    """A small square with a chapter's colour and number.

    Args:
        x: left edge, pixels.
        y: top edge, pixels.
        chapter: its number.
        side: pixels.

    Returns:
        SVG elements.
    """
    kind, middle = "digit pale" if chapter in (6, 8) else "digit", side / 2
    return (
        f'<rect x="{x}" y="{y}" width="{side}" height="{side}" rx="3" fill="{CHAPTERS[chapter][1]}"/>'
        f'<text class="{kind}" x="{x + middle}" y="{y + middle + 3.5}" text-anchor="middle">{chapter}</text>'
    )


def tile(x: float, y: float, name: str, number: int, doors: dict[int, list[str]]) -> str:
    """One module: its name, and a chip for every chapter it imports from.

    Args:
        x: left edge, pixels.
        y: top edge, pixels.
        name: the module.
        number: of its notebook.
        doors: the modules it imports, by chapter.

    Returns:
        SVG elements; the title, which browsers show under the pointer, lists the imports.
    """
    imports = ", ".join(m for names in doors.values() for m in names) or "nothing of this library"
    return (
        f'<g><title>{escape(f"{number:02}_{name} imports {imports}")}</title>'
        f'<rect class="tile" x="{x}" y="{y}" width="{TILE}" height="{HIGH}" rx="6"/>'
        f'<text class="module" x="{x + 9}" y="{y + 19}">{name}</text>'
        + "".join(chip(x + 9 + 14.5 * i, y + 29, c) for i, c in enumerate(doors))
        + "</g>"
    )


def draw(root: Path = ROOT) -> str:
    """The picture of all modules.

    Args:
        root: where threedad/ is.

    Returns:
        The SVG as text; the same modules give the same text.
    """
    found, parts, y = rooms(root), [], 44
    for chapter, (title, _) in CHAPTERS.items():
        here = [name for name, (number, _) in found.items() if number // 10 == chapter]
        if not here:
            continue
        high = -(-len(here) // WIDE) * (HIGH + GAP) + GAP
        middle = y + high / 2
        parts.append(
            f'<rect class="band" x="12" y="{y}" width="{LEFT + WIDE * (TILE + GAP)}" height="{high}" rx="8"/>'
            + chip(22, middle - 9, chapter, 18)
            + f'<text x="48" y="{middle + 4.5}">{title}</text>'
        )
        for i, name in enumerate(here):
            number, imported = found[name]
            doors = {
                c: [m for m in found if m in imported and found[m][0] // 10 == c] for c in CHAPTERS
            }
            place = LEFT + 12 + i % WIDE * (TILE + GAP), y + GAP + i // WIDE * (HIGH + GAP)
            parts.append(
                tile(*place, name, number, {c: names for c, names in doors.items() if names})
            )
        y += high + 6
    wide, high = LEFT + WIDE * (TILE + GAP) + 24, y + 6
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'role="img" aria-label="The modules of threedad by chapter"><style>{STYLE}\n</style>\n'
        f'<rect class="page" x="1" y="1" width="{wide - 2}" height="{high - 2}" rx="10"/>\n'
        f'<text class="note" x="22" y="28">A square on a module says which chapters it imports from. '
        f'Imports go up the page and to the left, never back.</text>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def main():
    """Write the picture."""
    (ROOT / "docs" / "images" / "rooms.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
