"""The promises of the repository itself: export, import time, licences, wheel."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


def tracked():
    return (
        subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        .stdout.strip("\0")
        .split("\0")
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy") / "threedad"
    for name in tracked():
        if name.startswith(("data/sample", "tests/golden")) or not (ROOT / name).exists():
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    subprocess.run(
        "git init -q . && git add -A && git -c user.name=t -c user.email=t@t commit -qm start",
        shell=True,
        cwd=folder,
        check=True,
    )
    return folder


def test_export_changes_nothing(copy):
    "What is in threedad/, README.md and NOTICE is what the notebooks export, and the notebooks are clean."
    for command in (
        ["nbdev_export"],
        ["nbdev_clean"],
        ["python", "tools/readme.py"],
        ["python", "tools/notice.py"],
        ["python", "tools/rooms.py"],
    ):
        subprocess.run(
            [str(BIN / command[0]), *command[1:]], cwd=copy, check=True, capture_output=True
        )
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=copy, capture_output=True, text=True, check=True
    ).stdout
    assert not changed, f"make export changes:\n{changed}"


def test_import_is_quick():
    "`import threedad` loads nothing heavy."
    heavy = ("numpy", "torch", "pandas", "cv2", "av", "numba")
    code = f"import sys, threedad; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_notice_lists_every_asset():
    listed = json.loads((ROOT / "threedad/assets/assets.json").read_text())
    files = {p.name for p in (ROOT / "threedad/assets").iterdir()} - {"assets.json"}
    assert files == set(listed)
    notice = (ROOT / "NOTICE").read_text()
    assert all(a["sha256"] in notice and a["licence"] in notice for a in listed.values())


def test_wheel_holds_the_assets(copy, tmp_path):
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(tmp_path),
            ".",
        ],
        cwd=copy,
        check=True,
        capture_output=True,
    )
    names = zipfile.ZipFile(next(tmp_path.glob("threedad-*.whl"))).namelist()
    for name in json.loads((ROOT / "threedad/assets/assets.json").read_text()):
        assert f"threedad/assets/{name}" in names
    assert not [n for n in names if n.startswith(("tests/", "nbs/", "data/"))]


README = (ROOT / "README.md").read_text(encoding="utf-8")
INDEX = json.loads((ROOT / "index.ipynb").read_text(encoding="utf-8"))["cells"]
SHOWN = [
    cell
    for cell in INDEX
    if cell["cell_type"] == "code" and not "".join(cell["source"]).startswith("#| hide")
]


@pytest.mark.parametrize("cell", SHOWN, ids=[cell["id"] for cell in SHOWN])
def test_every_cell_of_the_front_page_shows_what_it_ends_in(cell):
    last = "".join(cell["source"]).strip().splitlines()[-1]
    assert not last.endswith(";"), f"{last} hides its value"
    kinds = {kind for output in cell["outputs"] for kind in output.get("data", {})}
    assert kinds, f"{last} shows nothing"
    if "plot_" in last or last == "plt.show()":
        assert "image/png" in kinds, f"{last} shows no figure"


def test_every_figure_of_the_front_page_is_in_the_readme():
    figures = re.findall(r"!\[figure\]\((.*?)\)", README)
    stored = [o for c in INDEX for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(figures) == len(stored) >= 3
    assert all((ROOT / f).stat().st_size > 10_000 for f in figures)


def test_the_front_page_lists_every_module_by_chapter():
    table = README.split("## What is where")[1]
    listed = re.findall(
        r"^\| \*\*(\dx .*?)\*\*|^\| \[(.*?)\]\((.*?)\) \| `threedad\.(\w+)`", table, re.M
    )
    rooms = sorted(p.stem for p in ROOT.glob("nbs/[0-9]*.ipynb"))
    assert [name for _, name, _, _ in listed if name] == rooms
    chapter = ""
    for heading, name, link, module in listed:
        chapter = heading or chapter
        if name:
            assert name[0] == chapter[0] and link == f"nbs/{name}.ipynb" and name[3:] == module


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [a for a in re.findall(r"\]\(([^)\s]+)\)", text) if not a.startswith(("http", "#"))]
    assert links
    lost = [a for a in links if not ((ROOT / page).parent / a.split("#")[0]).exists()]
    assert not lost, f"{page} links to {', '.join(lost)}"


def test_the_front_page_says_what_the_detector_is_worth():
    from threedad.core import asset
    from threedad.detect import DEFAULT_DETECTOR, MEASURED
    from threedad.detector import Detector

    said = " ".join(README.replace("**", "").split())
    clips, area = (
        re.search(r"(\d+ clips of) real people", MEASURED)[1],
        re.search(r"AUC [\d.]+", MEASURED)[0],
    )
    assert f"{clips} real people it ranks real and fake at chance ({area}" in said
    trained = Detector.load(asset(DEFAULT_DETECTOR)).training_info["trained_on"]
    videos = sum(map(int, re.findall(r"(\d+) (?:real|fake)", trained)))
    assert f"trained on {videos} synthetic videos" in said
    for command in re.findall(r"^threedad (\w+)", README, re.M):
        assert command in {"detect", "track", "forge", "synth", "train", "evaluate", "demo"}
