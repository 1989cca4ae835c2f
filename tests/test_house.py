"""The rules of the house: which way imports go, what stays private, what has a test, lint."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import source  # noqa: E402
import rooms  # noqa: E402

ROOMS = rooms.rooms()
NOTEBOOKS = sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("nbs/[0-9]*.ipynb"))
UNTESTED: dict[str, str] = {}  # modules without a tests/test_<module>.py, and why


@pytest.mark.parametrize("module", ROOMS)
def test_imports_go_one_way(module):
    number, imported = ROOMS[module]
    later = [f"{ROOMS[name][0]:02}_{name}" for name in imported if ROOMS[name][0] >= number]
    assert not later, f"{number:02}_{module} imports {', '.join(later)}, which comes after it"


def test_one_number_one_module():
    numbers = [number for number, _ in ROOMS.values()]
    assert len(set(numbers)) == len(numbers)
    assert [f"nbs/{number:02}_{name}.ipynb" for name, (number, _) in ROOMS.items()] == NOTEBOOKS


def test_nothing_private_crosses_a_wall():
    found = source.private_crossings()
    assert not found, "\n".join(found)


def test_crossings_are_seen():
    code = source.Code(
        "tests/test_here.py",
        "here",
        "\n".join(
            [
                "from threedad.fit import fit, _solve",
                "from threedad import video as v, core",
                "import threedad.corpus",
                "v._pool(); core.__name__; fit._cache; threedad.corpus._shard",
                "mock.patch.object(v, '_hire')",
                "mock.patch('threedad.fit._solve')",
            ]
        ),
    )
    assert {
        said.split(": ")[1] for said in source.crossings(code, {"threedad", "video", "core"})
    } == {
        "imports threedad.fit._solve",
        "uses v._pool",
        "uses threedad.corpus._shard",
        "reaches for _hire",
        "reaches for threedad.fit._solve",
    }


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_notebooks_have_a_title_and_a_subtitle(path):
    first = next(
        c for c in json.loads((ROOT / path).read_text())["cells"] if c["cell_type"] == "markdown"
    )
    assert re.match(r"# \S[^\n]*\n{1,2}> \S", "".join(first["source"])), (
        "starts with an H1 and a one-line > subtitle"
    )


@pytest.mark.parametrize("path", source.notebooks())
def test_notebooks_store_no_widgets_and_no_errors(path):
    notebook = json.loads((ROOT / path).read_text())
    outputs = [o for c in notebook["cells"] for o in c.get("outputs", [])]
    assert "widgets" not in notebook["metadata"]
    assert not [
        o for o in outputs if "application/vnd.jupyter.widget-view+json" in o.get("data", {})
    ]
    assert not [o["ename"] for o in outputs if o["output_type"] == "error"]


@pytest.mark.parametrize("path", source.notebooks())
def test_cells_are_named_once_and_code_is_code(path):
    cells = json.loads((ROOT / path).read_text())["cells"]
    names = [c["id"] for c in cells]
    assert len(set(names)) == len(names)
    prose = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
    assert not [text[:60] for text in prose if text.startswith("#|")]


def test_import_is_cheap():
    code = "import sys, threedad; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("module", ROOMS)
def test_every_module_has_its_tests(module):
    there = (ROOT / f"tests/test_{module}.py").exists()
    assert there != (module in UNTESTED), (
        "listed in UNTESTED, but tested" if there else f"no tests/test_{module}.py"
    )


def test_the_picture_of_the_rooms_is_current():
    assert (ROOT / "docs/images/rooms.svg").read_text() == rooms.draw(), "run make export"


RULES = {
    'ruff': ['-m', 'ruff', 'check', 'nbs', 'index.ipynb', 'tests', 'tools', 'threedad'],
    'format': ['-m', 'ruff', 'format', '--check', 'nbs', 'index.ipynb', 'tests', 'tools'],
    'cells': ['tools/cells.py'],
    'types': ['-m', 'mypy'],
}


@pytest.mark.parametrize('rule', RULES)
def test_make_lint_is_clean(rule):
    p = subprocess.run([sys.executable, *RULES[rule]], cwd=ROOT, capture_output=True, text=True)
    assert p.returncode == 0, p.stdout + p.stderr
