"""The promises of the repository itself: export, import time, licences, wheel."""

import json
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
    code = "import sys, threedad; print([m for m in ('numpy', 'torch', 'pandas', 'cv2', 'av', 'numba') if m in sys.modules])"
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
