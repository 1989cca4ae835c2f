"""The whole road and its control; minutes long, so `make test-slow` runs it (and reuses data/demo if `make demo` has been run)."""

import pytest

from helpers.notebooks import ROOT
from threedad.pipeline import demo
from threedad.cli import main
from threedad.core import read_json

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def metrics():
    return demo(ROOT / "data/demo")


def test_demo_tells_real_from_fake_on_unseen_people(metrics):
    assert metrics["video_auc"] >= 0.8
    low, high = metrics["video_auc_ci"]
    assert low <= metrics["video_auc"] <= high
    assert {"counts", "seed", "versions", "seconds"} <= set(metrics)


def test_shuffled_labels_teach_nothing(metrics, tmp_path):
    store = ROOT / "data/demo/store"
    assert (
        main(
            [
                "train",
                "--store",
                str(store),
                "--out",
                str(tmp_path / "run"),
                "--shuffle-labels",
                "--clips-per-video",
                "8",
            ]
        )
        == 0
    )
    assert (
        main(
            [
                "evaluate",
                "--store",
                str(store),
                "--detector",
                str(tmp_path / "run/detector.safetensors"),
                "--out",
                str(tmp_path / "test"),
            ]
        )
        == 0
    )
    assert 0.35 <= read_json(tmp_path / "test/metrics.json")["video_auc"] <= 0.65
