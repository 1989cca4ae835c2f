"""Stages that are not done twice; and, slowly, the whole road and its control.

The slow tests use data/demo again if `make demo` has been run.
"""

import pytest

from helpers.notebooks import ROOT
from threedad.pipeline import DemoConfig, Stages, demo, evaluate_detector
from threedad.cli import main
from threedad.core import StoreError, UsageError, read_json


def job(folder, calls, seed=0, fail=False):
    s = Stages(folder)

    def make():
        calls.append('make')
        (folder / 'made').mkdir()

    def use():
        calls.append('use')
        if fail:
            raise KeyboardInterrupt
        (folder / 'used.txt').write_text('')

    s.run('make', dict(seed=seed), ['made'], make)
    s.run('use', {}, ['used.txt'], use)
    return s


def test_a_stage_is_done_once(tmp_path):
    calls = []
    for seed in (0, 0, 1):
        job(tmp_path, calls, seed)
    assert calls == ['make', 'use'] * 2


def test_an_interrupted_stage_is_done_again(tmp_path):
    calls = []
    with pytest.raises(KeyboardInterrupt):
        job(tmp_path, calls, fail=True)
    job(tmp_path, calls)
    assert calls == ['make', 'use', 'use']


def test_a_lost_result_is_made_again(tmp_path):
    calls = []
    job(tmp_path, calls)
    (tmp_path / 'used.txt').unlink()
    assert set(job(tmp_path, calls).seconds) == {'make', 'use'}
    assert calls == ['make', 'use', 'use']


def test_stages_leave_foreign_files_alone(tmp_path):
    (tmp_path / '.env').write_text('mine')
    for seed in (0, 1):
        job(tmp_path, [], seed)
    assert (tmp_path / '.env').read_text() == 'mine'


@pytest.mark.parametrize('people', [-1, 0, 5])
def test_too_few_people_are_refused(people, tmp_path):
    with pytest.raises(UsageError, match='at least 6'):
        demo(tmp_path, people=people)
    assert DemoConfig().people == 64 and not list(tmp_path.iterdir())


@pytest.mark.parametrize('split', ['tests', '', 'train '])
def test_a_split_without_videos_is_named(split, tmp_path):
    with pytest.raises(StoreError, match='no usable video'):
        evaluate_detector(ROOT / 'data/sample/store', None, tmp_path / 'out', split=split)
    assert not (tmp_path / 'out').exists()


@pytest.fixture(scope="module")
def metrics():
    return demo(ROOT / "data/demo")


@pytest.mark.slow
def test_demo_tells_real_from_fake_on_unseen_people(metrics):
    assert metrics["video_auc"] >= 0.8
    low, high = metrics["video_auc_ci"]
    assert low <= metrics["video_auc"] <= high
    assert {"counts", "seed", "versions", "seconds"} <= set(metrics)


@pytest.mark.slow
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
