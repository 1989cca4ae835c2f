"""The audit finds what leaks and nothing else, and says what a video cannot be measured for."""

import os

import numpy as np
import pandas as pd
import pytest

from helpers.listings import listing
from helpers.videos import face_frames, make
from threedad import audit as room
from threedad.audit import CUES, audit, cue_table, people_folds, people_of, performer
from threedad.core import FAKE, REAL, UsageError
from threedad.video import write_video


@pytest.fixture(scope='module')
def filmed(tmp_path_factory):
    """Cues of a clip, of one with a dark border, of a longer and larger one, of two broken files."""
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
    monkeypatch.setattr(room, 'CUES', {k: CUES[k] for k in (family, 'background', 'resolution')})
    v = listing(16, ('swap', 'lips'))
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


def test_the_audit_of_a_corpus_stays_the_same():
    """AUCs as they were when cells were still long; a pair of videos moves one by 0.002."""
    v = listing(12, ('swap', 'lips'))
    cues = cues_of(v)
    cues.loc[v.manipulation == 'swap', list(CUES['border'])] += 0.2
    a = audit(cues, v, progress=False).set_index(['cue', 'manipulation']).auc
    known = {
        ('duration', 'all'): 0.582465,
        ('packets', 'all'): 0.440972,
        ('brightness', 'lips'): 0.387153,
        ('border', 'swap'): 0.659722,
        ('together', 'swap'): 0.638889,
    }
    assert {k: a[k] for k in known} == pytest.approx(known, abs=0.004)


def test_audit_finds_a_spread_as_well_as_a_shift(monkeypatch):
    "Fakes on both sides of the reals: a logistic regression alone would miss them."
    monkeypatch.setattr(room, 'CUES', {'sharpness': CUES['sharpness']})
    v = listing(20)
    cues = cues_of(v)
    cues['frame_sharpness'] = (
        np.where(v.label == FAKE, np.where(np.arange(len(v)) % 4 < 2, 2, -2), 0)
        + 0.3 * cues['frame_sharpness']
    )
    assert audit(cues, v, progress=False).auc.min() > 0.9


def test_audit_without_a_leak_is_at_chance(monkeypatch):
    monkeypatch.setattr(room, 'CUES', {k: CUES[k] for k in ('brightness', 'border')})
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


def test_people_who_share_videos_stay_in_one_fold():
    v = listing(9)
    people, labels = people_of(v), v.label.to_numpy()
    cut = people_folds(labels, people, 4, 0)

    def names(rows):
        return set('+'.join(v.group.iloc[rows]).split('+'))

    assert all(not names(a) & names(b) for a, b in cut) and sorted(
        np.concatenate([b for _, b in cut])
    ) == list(range(len(v)))


@pytest.mark.parametrize('groups', [['a'] * 6, ['a', 'a+b', 'b', 'b+c', 'c', 'c+a']])
def test_folds_need_people_who_share_no_video(groups):
    v = pd.DataFrame(dict(group=groups, label=[0, 1] * 3))
    with pytest.raises(UsageError, match='two groups or more that share no video'):
        people_folds(v.label.to_numpy(), people_of(v), 3, 0)


def test_folds_need_both_classes():
    v = pd.DataFrame(dict(group=list('aabb'), label=[0, 0, 1, 1]))
    with pytest.raises(UsageError, match='real and fake videos of other people'):
        people_folds(v.label.to_numpy(), people_of(v), 2, 0)


@pytest.mark.parametrize('group, who', [('a', 'a'), ('b+a', 'b'), ('c+d+e', 'c')])
def test_the_first_named_performs(group, who):
    assert performer(pd.Series([group])).tolist() == [who]
