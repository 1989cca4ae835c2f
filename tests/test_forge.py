"Forgeries: same seed, same bytes; nothing outside the mask; any video; a corpus that can be interrupted and leaks nobody."

import hashlib, json, signal, subprocess, sys, time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from threedad.core import UsageError, VideoError, read_table
from threedad.trajectory import TRAJECTORY_COLUMNS
from threedad.compose import BLENDS, Finish, noise_level, take_face
from threedad.synthset import DIFFICULTIES, synthesize
from threedad.forge import (
    MANIPULATIONS,
    NEEDS,
    face_swap,
    forge,
    forge_video,
    provenance,
    read_provenance,
    self_blend,
)
from threedad.performance import Performance
from threedad.people import Person
from threedad.synth import Scene, render_video
from threedad.video import read_frames, write_video

SAMPLE = Path(__file__).resolve().parents[1] / 'data/sample/talking_head.mp4'


def digest(frames):
    return hashlib.sha256(np.stack(frames).tobytes()).hexdigest()


def film(seed, n=12, size=128):
    return render_video(
        Person.sample(seed), Performance.sample(100 + seed, n), Scene.sample(200 + seed), size
    )


@pytest.fixture(scope='module')
def target():
    return film(1)


@pytest.fixture(scope='module')
def other():
    return film(2)


def plan(kind, target, other, **kwargs):
    return forge(kind, *target, source=other, driver=other[1], **kwargs)


@pytest.mark.parametrize('kind', MANIPULATIONS)
@pytest.mark.parametrize('strength', [0.1, 0.9])
def test_only_what_the_mask_says_changes(target, other, kind, strength):
    frames, truth = target
    forgery = plan(kind, target, other, seed=0, strength=strength)
    out, masks = forgery.apply(frames)
    assert (
        digest(out)
        == digest(plan(kind, target, other, seed=0, strength=strength).apply(frames)[0])
        != digest(frames)
    )
    assert (
        forgery.kind == kind
        and list(forgery.table.columns) == TRAJECTORY_COLUMNS
        and len(forgery.table) == len(truth)
    )
    for a, b, m in zip(frames, out, masks):
        assert b.dtype == m.dtype == np.uint8 and b.shape == a.shape and m.shape == a.shape[:2]
        assert (a == b)[m == 0].all() and (a != b)[m > 128].any()
        if kind != 'talking_head':
            assert (
                0.005 < (m > 128).mean() < 0.4
                and not m[:8].any()
                and not m[-8:].any()
                and not m[:, :8].any()
                and not m[:, -8:].any()
            )


@pytest.mark.parametrize('kind', MANIPULATIONS)
def test_frames_do_not_depend_on_the_order_they_come_in(target, other, kind):
    frames, truth = target
    forgery = plan(kind, target, other, seed=4)
    out, _ = forgery.apply(frames)
    assert [digest([forgery(i, frames[i])[0]]) for i in (7, 2)] == [
        digest([out[i]]) for i in (7, 2)
    ]


def test_frames_without_coefficients_stay_as_they_are(target, other):
    frames, truth = target
    out, masks = face_swap(truth.iloc[[2, 3]], take_face(*other)).apply(frames)
    assert [bool(m.any()) for m in masks] == [i in (2, 3) for i in range(len(frames))]
    assert digest(frames[4:]) == digest(out[4:])


@pytest.mark.parametrize('kind', MANIPULATIONS)
def test_strength_is_what_is_left_to_see(target, other, kind):
    "Careless swaps are further from the frame, careless mouths have lost more of their detail."
    frames, _ = target

    def trace(strength):
        out, masks = plan(kind, target, other, seed=1, strength=strength).apply(frames)
        if kind in ('reenact', 'lip_sync'):
            return -np.mean(
                [
                    np.abs(cv2.Laplacian(b.astype(np.float32), cv2.CV_32F))[m > 128].mean()
                    for b, m in zip(out, masks)
                ]
            )
        return np.mean(
            [np.abs(a.astype(int) - b)[m > 128].mean() for a, b, m in zip(frames, out, masks)]
        )

    assert trace(0.0) < trace(1.0)


@pytest.mark.parametrize(
    'kind', ['face_swap', 'reenact', 'lip_sync', 'autoencoder', 'talking_head']
)
def test_temporal_sets_the_sign_of_the_jitter(target, other, kind):
    columns = ['jawOpen', 'mouthFunnel'] + ([] if kind in ('reenact', 'lip_sync') else ['yaw'])
    jerk = lambda t: np.abs(np.diff(t[columns].to_numpy(float), 3, axis=0)).mean()
    smooth, rough = (
        jerk(plan(kind, target, other, seed=2, temporal=t).table) for t in (-0.8, 0.8)
    )
    played = jerk(other[1] if NEEDS[kind] == 'driver' else target[1])
    assert smooth < played < rough


def test_self_blending_flickers_only_if_redrawn(target):
    frames, truth = target
    still = [frames[0]] * len(frames)
    same = truth.iloc[[0] * len(frames)].assign(frame=range(len(frames)))
    change = lambda t: np.mean(
        [
            np.abs(a.astype(int) - b).mean()
            for a, b in zip(*(lambda f: (f, f[1:]))(self_blend(same, 3, 0.8, t).apply(still)[0]))
        ]
    )
    assert change(0.0) == 0 < change(0.5) < change(1.0)


@pytest.mark.parametrize('blend', BLENDS)
def test_blends(target, other, blend):
    frames, truth = target
    out, masks = face_swap(
        truth,
        take_face(*other),
        0,
        finish=Finish('feather', 0.03, 0, 0, 0)
        if blend == 'feather'
        else Finish(blend, 0.03, 0, 0, 0),
    ).apply(frames)
    assert all(
        (a == b)[m == 0].all() and (a != b)[m > 200].mean() > 0.5
        for a, b, m in zip(frames, out, masks)
    )


def test_poisson_hides_a_difference_of_brightness():
    behind = np.full((96, 96, 3), 120.0, np.float32)
    behind += np.random.default_rng(0).normal(0, 2, behind.shape).astype(np.float32)
    alpha = np.zeros((96, 96), np.float32)
    cv2.circle(alpha, (48, 48), 28, 1.0, -1)
    stripes = 10 * np.sin(np.arange(96) / 2)[:, None, None]
    made = {
        n: f(np.float32(behind + 40 + stripes), behind, alpha)[40:56, 40:56]
        for n, f in BLENDS.items()
    }
    left = {n: abs(float(m.mean() - 120 - stripes[40:56].mean())) for n, m in made.items()}
    assert (
        left['feather'] > 35 and left['poisson'] < 10 and left['multiband'] <= left['feather'] + 1
    )
    assert all(m.mean((1, 2)).std() > 5 for m in made.values())


@pytest.mark.parametrize('sigma', [0.0, 1.5, 6.0])
def test_noise_is_measured(sigma):
    y, x = np.mgrid[:120, :160]
    picture = np.stack(
        [100 + 0.4 * x + 0.2 * y + 30 * (x > 80)] * 3, -1
    ) + sigma * np.random.default_rng(1).standard_normal((120, 160, 1))
    assert abs(noise_level(picture.astype(np.float32)) - sigma) < 0.1 * sigma + 0.05


@pytest.mark.parametrize(
    'wrong, says',
    [
        (dict(kind='morph'), 'none of'),
        (dict(strength=2), 'strength'),
        (dict(temporal=-3), 'temporal'),
    ],
)
def test_wrong_parameters_are_named(target, other, wrong, says):
    with pytest.raises(UsageError, match=says):
        plan(**dict(kind='lip_sync', target=target, other=other) | wrong)


@pytest.mark.parametrize(
    'kind', ['face_swap', 'autoencoder', 'reenact', 'lip_sync', 'talking_head']
)
def test_what_is_missing_is_named(target, kind):
    with pytest.raises(UsageError, match=f'{kind} needs a {NEEDS[kind]}'):
        forge(kind, *target)
    with pytest.raises(UsageError, match='no frame'):
        forge(kind, target[0], target[1].iloc[:0], source=target, driver=target[1])


@pytest.mark.parametrize('kind', MANIPULATIONS)
def test_a_video_file_is_forged(tmp_path, kind):
    f = forge_video(
        SAMPLE, kind, tmp_path / 'out.mp4', seed=1, mask=tmp_path / 'mask.mp4', progress=False
    )
    before, after, mask = (
        [x for x in read_frames(p)] for p in (SAMPLE, tmp_path / 'out.mp4', tmp_path / 'mask.mp4')
    )
    assert len(before) == len(after) == len(mask) == len(f.table)
    assert np.allclose([x.time for x in before], [x.time for x in after], atol=1e-3)
    inside = np.mean(
        [
            np.abs(a.image.astype(float) - b.image)[m.image[..., 0] > 128].mean()
            for a, b, m in zip(before, after, mask)
        ]
    )
    assert inside > 1.5
    says = read_provenance(tmp_path / 'out.mp4')
    assert says['altered'] and says['manipulation'] == kind and says['seed'] == 1
    assert len(read_table(tmp_path / 'out.parquet')) == len(f.table)


def test_a_variable_frame_rate_is_kept(tmp_path):
    frames = [f.image for f in read_frames(SAMPLE)][:30]
    times = np.r_[np.arange(15) / 24, 15 / 24 + np.arange(15) / 60]
    write_video(tmp_path / 'in.mp4', frames, 30, times=times.tolist())
    forge_video(tmp_path / 'in.mp4', 'self_blend', tmp_path / 'out.mp4', progress=False)
    assert np.allclose([f.time for f in read_frames(tmp_path / 'out.mp4')], times, atol=2e-3)


def test_bad_videos_are_refused_by_name(tmp_path):
    grey = write_video(tmp_path / 'grey.mp4', [np.full((96, 96, 3), 90, np.uint8)] * 8, 25)
    with pytest.raises(VideoError, match='grey.mp4.*no face'):
        forge_video(grey, 'self_blend', tmp_path / 'x.mp4', progress=False)
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(VideoError, match='text.mp4'):
        forge_video(tmp_path / 'text.mp4', 'self_blend', tmp_path / 'x.mp4', progress=False)
    with pytest.raises(UsageError, match='overwrite'):
        forge_video(grey, 'self_blend', grey, progress=False)
    assert not (tmp_path / 'x.mp4').exists()


def files(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(Path(folder).rglob('*.mp4'))
    }


def test_corpus_is_the_same_with_any_workers_and_after_interruption(tmp_path):
    settings = dict(people=4, videos=3, frames=5, size=128, seed=5, progress=False)
    one = synthesize(tmp_path / 'one', **settings, workers=1)
    two = synthesize(tmp_path / 'two', **settings, workers=2)
    assert files(tmp_path / 'one') == files(tmp_path / 'two') and len(one) == 3 * 7
    whole = files(tmp_path / 'one')
    untouched, lost = Path(one['path'][0]), Path(one['path'][9])
    stamp = untouched.stat().st_mtime_ns
    lost.unlink()
    (tmp_path / 'one' / 'truth' / '0001.parquet').unlink()
    (tmp_path / 'one' / 'videos.parquet').unlink()
    synthesize(tmp_path / 'one', **settings, workers=1)
    assert files(tmp_path / 'one') == whole and untouched.stat().st_mtime_ns == stamp
    assert read_table(tmp_path / 'one' / 'truth.parquet').equals(
        read_table(tmp_path / 'two' / 'truth.parquet')
    )
    assert (
        read_table(tmp_path / 'one' / 'videos.parquet')
        .drop(columns='path')
        .equals(two.drop(columns='path'))
    )
    other = synthesize(tmp_path / 'one', **{**settings, 'seed': 6}, workers=1)
    assert files(tmp_path / 'one').keys() == whole.keys() and not set(
        files(tmp_path / 'one').values()
    ) & set(whole.values())
    assert (other['seed'] == 6).all()


def test_a_killed_run_ends_as_one_that_was_not(tmp_path):
    command = [
        sys.executable,
        '-c',
        'import sys; from threedad.cli import main; sys.exit(main())',
        'synth',
        '--people',
        '2',
        '--videos',
        '4',
        '--frames',
        '6',
        '--size',
        '96',
        '--seed',
        '9',
        '--workers',
        '1',
        '--out',
    ]
    subprocess.run([*command, tmp_path / 'whole'], check=True, capture_output=True, timeout=300)
    p = subprocess.Popen(
        [*command, tmp_path / 'cut'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while len(files(tmp_path / 'cut')) < 10 and p.poll() is None:
        time.sleep(0.02)
    p.send_signal(signal.SIGKILL)
    p.wait()
    assert not (tmp_path / 'cut' / 'videos.parquet').exists()
    subprocess.run([*command, tmp_path / 'cut'], check=True, capture_output=True, timeout=300)
    assert (
        files(tmp_path / 'cut') == files(tmp_path / 'whole') and len(files(tmp_path / 'cut')) == 28
    )
    assert read_table(tmp_path / 'cut' / 'truth.parquet').equals(
        read_table(tmp_path / 'whole' / 'truth.parquet')
    )


def test_a_corpus_of_some_kinds_is_a_part_of_the_whole(tmp_path):
    settings = dict(people=4, videos=2, frames=4, size=96, seed=5, workers=1, progress=False)
    synthesize(tmp_path / 'all', **settings)
    synthesize(tmp_path / 'some', **settings, manipulations=('autoencoder', 'self_blend'))
    some = files(tmp_path / 'some')
    assert len(some) == 6 and some.items() <= files(tmp_path / 'all').items()


def test_difficulties_take_turns_and_a_holdout_is_for_testing(tmp_path):
    v = synthesize(
        tmp_path,
        people=16,
        videos=16,
        frames=4,
        size=64,
        seed=2,
        manipulations=('self_blend', 'lip_sync'),
        difficulty=('easy', 'hard'),
        holdout='lip_sync',
        workers=2,
        progress=False,
    )
    fakes = v[v['label'] == 1]
    for d in ('easy', 'hard'):
        assert fakes.loc[fakes['difficulty'] == d, 'strength'].between(*DIFFICULTIES[d]).all()
        assert set(v.loc[v['difficulty'] == d, 'split']) == {'train', 'val', 'test'}
    assert set(v.loc[v['manipulation'] == 'lip_sync', 'split']) == {'test'}
    assert v.groupby(v['group'].str[:4])['difficulty'].nunique().eq(1).all()
    about = [read_provenance(p) for p in v['path']]
    assert [a['altered'] for a in about] == v['altered'].tolist() and all(
        a['synthetic'] for a in about
    )
    assert all(
        a['strength'] is None or abs(a['strength'] - s) < 1e-5
        for a, s in zip(about, v['strength'])
    )


def test_no_person_is_on_two_sides():
    from threedad.synthset import _sides, _partner

    for people in range(2, 14):
        splits, _ = _sides(people, 0)
        assert all(
            splits[p] == splits[_partner(p, people)] and p != _partner(p, people)
            for p in range(people)
        )
        assert people < 6 or set(splits) == {'train', 'val', 'test'}


@pytest.mark.parametrize(
    'wrong',
    [
        dict(manipulations='morph'),
        dict(compression='c10'),
        dict(difficulty='fair'),
        dict(holdout='reenact', manipulations='lip_sync'),
    ],
)
def test_wrong_corpus_settings_are_named(tmp_path, wrong):
    with pytest.raises(UsageError, match=str(next(iter(wrong.values())))):
        synthesize(tmp_path, **wrong)


def test_provenance_is_plain_words():
    real = provenance('holiday', 'lip_sync', False, seed=3)
    assert (
        'real recording' in real['comment']
        and 'altered' in real['comment']
        and json.loads(real['threedad'])['altered'] is True
    )
    assert 'Not a real person' in provenance('x', 'original', True)['comment']
    assert read_provenance(SAMPLE).get('manipulation', 'original') == 'original'


@pytest.mark.parametrize('people', [2, 7, 48])
def test_partners_wear_the_same_glasses(people):
    from threedad.synthset import _partner, _person

    worn = [_person(p, 20261125, people).glasses for p in range(people)]
    assert all(worn[p] == worn[_partner(p, people)] for p in range(people))
    assert people < 48 or 0 < sum(map(bool, worn)) < people
