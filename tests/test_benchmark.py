"""The benchmark's settings are frozen, and its baselines learn nothing from exchanged labels."""

import types

import numpy as np
import pandas as pd
import pytest

from helpers.listings import listing
from threedad import benchmark
from threedad.benchmark import (
    BENCH,
    BENCH_SHA256,
    baseline_table,
    bench_settings,
    build_bench,
    exchanged_labels,
    frame_baseline,
    plot_baselines,
    trajectory_baseline,
)
from threedad.core import FAKE, REAL, ThreedadError, UsageError
from threedad.measures import auc
from threedad.predict import PREDICTION_COLUMNS


def test_settings_are_frozen():
    assert bench_settings() == dict(BENCH) and len(BENCH_SHA256) == 64
    assert (
        BENCH['people'],
        BENCH['videos'],
        BENCH['frames'],
        BENCH['size'],
        BENCH['seed'],
        BENCH['compression'],
    ) == (48, 96, 48, 256, 20261125, 'c23')
    with pytest.raises(TypeError):
        BENCH['seed'] = 1
    for name in BENCH:
        with pytest.raises(ThreedadError, match='altered'):
            bench_settings({**BENCH, name: 7})
        with pytest.raises(ThreedadError, match='altered'):
            bench_settings({k: v for k, v in BENCH.items() if k != name})


def test_an_altered_benchmark_is_not_built(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        benchmark, 'synthesize', lambda out, **settings: asked.append((out, settings)) or 'table'
    )
    monkeypatch.setattr(benchmark, 'preprocess', lambda videos, store, **options: (videos, store))
    assert build_bench(tmp_path, progress=False) == ('table', tmp_path / 'store')
    out, settings = asked.pop()
    assert out == tmp_path / 'videos' and {k: settings[k] for k in BENCH} == dict(BENCH)
    monkeypatch.setattr(bench_settings, '__defaults__', (BENCH | {'seed': 1},))
    with pytest.raises(UsageError, match='altered'):
        build_bench(tmp_path, progress=False)
    assert not asked


def moving(v, restless=0.5, n=40):
    def one(i, label, seed):
        g, time = np.random.default_rng(seed), np.arange(n) / 25
        return pd.DataFrame(
            dict(
                video_id=i,
                frame=3 + np.arange(n),
                time=time,
                **{
                    f'exp_{k:02}': np.sin(3 * time + g.random() * 6)
                    + 0.2 * (restless if label and k < 5 else 1) * g.normal(size=n)
                    for k in range(10)
                },
            )
        )

    return pd.concat(
        [one(i, l, s) for s, (i, l) in enumerate(zip(v.video_id, v.label))], ignore_index=True
    )


def test_trajectory_baseline_and_its_control():
    v = listing(9, ('swap', 'lips'))
    store = types.SimpleNamespace(videos=v, trajectories=moving(v))
    told, control = (
        trajectory_baseline(store, folds=3, shuffle=s, progress=False) for s in (False, True)
    )
    assert (
        list(told.columns) == PREDICTION_COLUMNS
        and (told.video_id == v.video_id).all()
        and (told.first_frame == 3).all()
    )
    assert auc(told.label, told.score) > 0.9
    table = baseline_table(pd.concat([told, control]), v).set_index(
        ['detector', 'half', 'manipulation']
    )
    assert (
        set(table.index.get_level_values('half')) == {'all', 'easy', 'hard'}
        and table.loc['trajectory', 'all', 'swap'].fake == 18
    )
    by_chance = table.loc['trajectory (labels exchanged)', 'all', 'all']
    assert by_chance.low <= 0.5 <= by_chance.high


def test_exchanged_labels_are_independent_of_the_true_ones():
    labels = np.array([REAL] * 20 + [FAKE] * 60)
    for seed in range(5):
        given = exchanged_labels(labels, np.random.default_rng(seed))
        assert (
            given[labels == REAL].mean() == given[labels == FAKE].mean() == 0.75
            and given.sum() == 60
        )


def painted(v, blur):
    """A store of noise whose fakes are soft in the middle, blurred by so many pixels."""
    import cv2

    images = {}
    for seed, (name, label) in enumerate(zip(v.video_id, v.label)):
        noise = np.random.default_rng(seed).normal(128, 40, (5, 40, 40, 3))
        images[name] = noise.clip(0, 255).astype(np.uint8)
        for image in images[name] if label else ():
            image[8:32, 8:32] = cv2.GaussianBlur(image[8:32, 8:32], (0, 0), blur)
    return types.SimpleNamespace(
        videos=v,
        shard=lambda i: pd.DataFrame(dict(frame=10 + np.arange(5))),
        crops=lambda i, frames, size: images[i][np.array(frames) - 10],
    )


def test_frame_baseline_and_its_control():
    v = listing(8)
    store = painted(v, blur=1)
    few = dict(frames=3, size=32, epochs=10, folds=2, progress=False)
    told, again, control = (
        frame_baseline(store, **few),
        frame_baseline(store, **few),
        frame_baseline(store, shuffle=True, **few),
    )
    assert (
        list(told.columns) == PREDICTION_COLUMNS
        and told.first_frame.tolist() == [10, 12, 14] * len(v)
        and told.score.between(0, 1).all()
    )
    assert told.score.tolist() == again.score.tolist()
    assert auc(told.label, told.score) > 0.9
    assert 0.2 < auc(control.label, control.score) < 0.8
    with pytest.raises(UsageError, match='real and fake'):
        frame_baseline(store, v[v.label == REAL])


@pytest.mark.parametrize(
    'shuffle, first, last, mean',
    [(False, 0.520769, 0.483011, 0.513669), (True, 0.5, 0.5, 0.516403)],
)
def test_scores_of_trajectories_are_those_of_version_1(shuffle, first, last, mean):
    v = listing(9, ('swap', 'lips'))
    store = types.SimpleNamespace(videos=v, trajectories=moving(v, 0.9))
    score = trajectory_baseline(store, folds=3, shuffle=shuffle, progress=False).score
    found = score.iloc[0], score.iloc[-1], score.mean()
    assert found == pytest.approx((first, last, mean), abs=1e-3)


@pytest.mark.parametrize(
    'shuffle, first, last, mean',
    [(False, 0.517819, 0.507022, 0.512905), (True, 0.499606, 0.477087, 0.488295)],
)
def test_scores_of_frames_are_those_of_version_1(shuffle, first, last, mean):
    store, few = painted(listing(6), blur=0.5), dict(frames=3, size=32, epochs=4, folds=2)
    score = frame_baseline(store, shuffle=shuffle, progress=False, **few).score
    found = score.iloc[0], score.iloc[-1], score.mean()
    assert found == pytest.approx((first, last, mean), abs=2e-3)


def test_a_figure_has_a_panel_per_detector_and_a_mark_per_manipulation():
    v = listing(9, ('swap', 'lips'))
    told = v.assign(score=np.random.default_rng(0).random(len(v)), clip=0, first_frame=0)
    both = pd.concat([told.assign(detector=name) for name in ('one', 'other')])
    fig = plot_baselines(baseline_table(both, v))
    assert [ax.get_title(loc='left') for ax in fig.axes] == ['one', 'other']
    names = [t.get_text() for t in fig.axes[-1].get_xticklabels()]
    assert names == ['swap', 'lips', 'all']
    assert [t.get_text() for t in fig.axes[0].get_legend().get_texts()] == ['easy', 'hard']
