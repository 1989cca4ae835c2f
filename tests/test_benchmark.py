"The benchmark's settings are frozen, its audit finds what leaks and nothing else, and its baselines learn nothing from exchanged labels."

import os, types
import numpy as np, pandas as pd, pytest
from helpers.videos import face_frames, make
from threedad import benchmark
from threedad.benchmark import (
    BENCH,
    BENCH_SHA256,
    baseline_table,
    bench_settings,
    build_bench,
    frame_baseline,
    trajectory_baseline,
)
from threedad.audit import CUES, audit, cue_table
from threedad.core import FAKE, REAL, ThreedadError, UsageError
from threedad.evaluate import auc
from threedad.video import write_video


def listing(pairs, kinds=('swap',)):
    "Two people a pair, each with a real video and a fake of every kind that shows the other's face."
    rows = [
        dict(
            video_id=f'{k}/{p:02}',
            label=int(k != 'real'),
            manipulation=k,
            compression='c23',
            corpus='made up',
            status='ok',
            difficulty=('easy', 'hard')[p // 2 % 2],
            group=f'p{p:02}' + (f'+p{p ^ 1:02}' if k != 'real' else ''),
        )
        for p in range(2 * pairs)
        for k in ('real', *kinds)
    ]
    return pd.DataFrame(rows)


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


@pytest.fixture(scope='module')
def filmed(tmp_path_factory):
    "Cues of a clip of the sample person, of one with a darker border, of a longer and larger one, and of two broken files."
    folder, frames = tmp_path_factory.mktemp('cues'), face_frames()
    dark = [f.copy() for f in frames]
    for f in dark:
        f[:, :9] = f[:, :9] * 0.7
    large = [np.kron(f, np.ones((2, 2, 1), np.uint8)) for f in frames + frames]
    paths = dict(
        plain=write_video(folder / 'plain.mp4', frames, 25),
        dark=write_video(folder / 'dark.mp4', dark, 25),
        large=write_video(folder / 'large.mp4', large, 30, crf=40),
        text=make('text', folder),
        missing=folder / 'nowhere.mp4',
    )
    h, w = frames[0].shape[:2]
    v = pd.DataFrame(
        [
            dict(
                video_id=k,
                path=str(p),
                group='one' if k != 'large' else 'two',
                width=w * (1 + (k == 'large')),
                height=h * (1 + (k == 'large')),
            )
            for k, p in paths.items()
        ]
    )
    boxes = pd.DataFrame(
        [
            dict(video_id='plain', x0=80, y0=60, x1=160, y1=180),
            dict(video_id='dark', x0=90, y0=60, x1=180, y1=180),
            dict(video_id='large', x0=160, y0=120, x1=320, y1=360),
        ]
    )
    return v, boxes, cue_table(v, boxes, pairs=4, workers=0, progress=False).set_index('video_id')


def test_cues_of_files(filmed):
    v, _, t = filmed
    assert list(t.index) == list(v.video_id) and set(t.columns) == {
        'error',
        'background_share',
        *(c for columns in CUES.values() for c in columns),
    }
    good, bad = t.loc[['plain', 'dark', 'large']], t.loc[['text', 'missing']]
    assert (
        np.isfinite(good.drop(columns='error').to_numpy(float)).all() and (good.error == '').all()
    )
    assert (
        bad.drop(columns='error').isna().all(axis=None)
        and bad.error['missing'].endswith('no such file')
        and 'text' in bad.error['text']
    )
    assert dict(good.frames) == dict(plain=12, dark=12, large=24) and dict(good.crf) == dict(
        plain=23, dark=23, large=40
    )
    assert (
        good.width['large'] == 2 * good.width['plain']
        and good.fps['large'] == 30
        and good.duration['large'] == pytest.approx(0.8)
    )
    assert good.bytes['plain'] == os.path.getsize(v.path[0])
    assert (
        good.border_light['dark'] < 0.95 * good.border_light['plain']
        and good.quantiser['large'] > good.quantiser['plain'] + 5
    )


def test_background_is_what_no_video_of_the_performer_covers(filmed):
    t = filmed[2]
    assert t.background_share['plain'] == t.background_share['dark']
    assert t.background_share['plain'] == pytest.approx(
        1 - 150 * 180 / 256**2, abs=0.01
    ) and t.background_share['large'] == pytest.approx(1 - 120 * 180 / 256**2, abs=0.01)


def test_workers_give_the_same_cues(filmed):
    v, boxes, t = filmed
    pd.testing.assert_frame_equal(
        cue_table(v, boxes, pairs=4, workers=2, progress=False).set_index('video_id'), t
    )


def cues_of(v, seed=0, within=0.1):
    "Cues that belong to a performance; real and fake differ by a little noise."
    g, names = np.random.default_rng(seed), [c for columns in CUES.values() for c in columns]
    scene = pd.Series(
        list(g.normal(size=(v.group.str[:3].nunique(), len(names)))),
        index=sorted(v.group.str[:3].unique()),
    )
    x = pd.DataFrame(
        np.stack(v.group.str[:3].map(scene)) + within * g.normal(size=(len(v), len(names))),
        columns=names,
    )
    return x.assign(video_id=v.video_id, error='', audio=0.0, width=256.0, height=256.0)


@pytest.mark.parametrize('family', ['file size', 'brightness', 'border', 'packets', 'audio'])
def test_audit_finds_a_planted_leak(family, monkeypatch):
    monkeypatch.setattr(
        benchmark, 'CUES', {k: CUES[k] for k in (family, 'background', 'resolution')}
    )
    v = listing(12, ('swap', 'lips'))
    cues = cues_of(v)
    cues.loc[v.manipulation == 'swap', list(CUES[family])] += 4
    a = audit(cues, v, progress=False).set_index(['cue', 'manipulation'])
    assert (
        a.auc[family, 'swap'] > 0.9
        and a.low[family, 'swap'] > 0.8
        and a.auc['together', 'swap'] > 0.9
    )
    assert 0.35 < a.auc[family, 'lips'] < 0.65 and a.auc['background'].between(0.35, 0.65).all()
    assert (a.loc['resolution', ['auc', 'low', 'high']] == 0.5).all(axis=None) and (
        a['columns']['resolution'] == 0
    ).all()
    assert ((a.low <= a.auc + 1e-9) & (a.auc <= a.high + 1e-9)).all()


def test_audit_finds_a_spread_as_well_as_a_shift(monkeypatch):
    "Fakes on both sides of the reals: a logistic regression alone would miss them."
    monkeypatch.setattr(benchmark, 'CUES', {'sharpness': CUES['sharpness']})
    v = listing(20)
    cues = cues_of(v)
    cues['frame_sharpness'] = (
        np.where(v.label == FAKE, np.where(np.arange(len(v)) % 4 < 2, 2, -2), 0)
        + 0.3 * cues['frame_sharpness']
    )
    assert audit(cues, v, progress=False).auc.min() > 0.9


def test_audit_without_a_leak_is_at_chance(monkeypatch):
    monkeypatch.setattr(benchmark, 'CUES', {k: CUES[k] for k in ('brightness', 'border')})
    v = listing(16, ('swap', 'lips', 'still'))
    found = pd.concat([audit(cues_of(v, seed), v, seed, progress=False) for seed in range(3)])
    pooled = found[found.manipulation == 'all'].auc
    assert pooled.between(0.4, 0.6).all() and abs(pooled.mean() - 0.5) < 0.04


def test_audit_says_what_is_missing():
    v = listing(4)
    cues = cues_of(v)
    with pytest.raises(UsageError, match='8 videos have no cues'):
        audit(cues[v.label == REAL], v, progress=False)
    with pytest.raises(UsageError, match='a.mp4: broken'):
        audit(cues.assign(error='a.mp4: broken'), v)
    with pytest.raises(UsageError, match='share no video'):
        audit(cues, v[:4])


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
        list(told.columns) == benchmark._PREDICTIONS
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
        given = benchmark._exchanged(labels, np.random.default_rng(seed))
        assert (
            given[labels == REAL].mean() == given[labels == FAKE].mean() == 0.75
            and given.sum() == 60
        )


def test_people_who_share_videos_stay_in_one_fold():
    v = listing(9)
    people, labels = benchmark._people(v), v.label.to_numpy()
    cut = benchmark._folds(labels, people, 4, 0)
    names = lambda rows: set('+'.join(v.group.iloc[rows]).split('+'))
    assert all(not names(a) & names(b) for a, b in cut) and sorted(
        np.concatenate([b for _, b in cut])
    ) == list(range(len(v)))


def test_frame_baseline_and_its_control():
    import cv2

    v = listing(8)

    def paint(label, seed):
        images = (
            np.random.default_rng(seed)
            .normal(128, 40, (5, 40, 40, 3))
            .clip(0, 255)
            .astype(np.uint8)
        )
        if label:
            images[:, 8:32, 8:32] = [cv2.GaussianBlur(i[8:32, 8:32], (0, 0), 1) for i in images]
        return images

    images = {i: paint(l, s) for s, (i, l) in enumerate(zip(v.video_id, v.label))}
    store = types.SimpleNamespace(
        videos=v,
        shard=lambda i: pd.DataFrame(dict(frame=10 + np.arange(5))),
        crops=lambda i, frames, size: images[i][np.array(frames) - 10],
    )
    few = dict(frames=3, size=32, epochs=10, folds=2, progress=False)
    told, again, control = (
        frame_baseline(store, **few),
        frame_baseline(store, **few),
        frame_baseline(store, shuffle=True, **few),
    )
    assert (
        list(told.columns) == benchmark._PREDICTIONS
        and told.first_frame.tolist() == [10, 12, 14] * len(v)
        and told.score.between(0, 1).all()
    )
    assert told.score.tolist() == again.score.tolist()
    assert auc(told.label, told.score) > 0.9
    assert 0.2 < auc(control.label, control.score) < 0.8
    with pytest.raises(UsageError, match='real and fake'):
        frame_baseline(store, v[v.label == REAL])
