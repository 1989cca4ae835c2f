"""Six forgeries of frames and files: same seed, same bytes; shape and times kept; faults found before the work."""

import json
import os
import stat
import tracemalloc

import cv2
import numpy as np
import pytest
from helpers import videos
from helpers.forgeries import SAMPLE, difference, digest, film, planned

from threedad import forge as room
from threedad.core import FileError, UsageError, VideoError, read_table
from threedad.fit import fit
from threedad.forge import (
    MANIPULATIONS,
    NEEDS,
    child_rng,
    driver_of,
    forge,
    forge_video,
    provenance,
    read_provenance,
)
from threedad.people import Person
from threedad.performance import Performance
from threedad.motion import TRAJECTORY_COLUMNS
from threedad.video import probe, read_frames, write_video

NEEDY = [kind for kind in MANIPULATIONS if NEEDS[kind]]


@pytest.fixture(scope='module')
def target():
    return film(1)


@pytest.fixture(scope='module')
def other():
    return film(2)


@pytest.fixture
def no_work(monkeypatch):
    """Fail if anything is tracked or written."""

    def work(*args, **kwargs):
        raise AssertionError('the work has begun')

    for name in ('track', 'write_video', 'write_table'):
        monkeypatch.setattr(room, name, work)


@pytest.mark.parametrize('kind', MANIPULATIONS)
@pytest.mark.parametrize('strength', [0.1, 0.9])
def test_only_what_the_mask_says_changes(target, other, kind, strength):
    frames, truth = target
    forgery = planned(kind, target, other, seed=0, strength=strength)
    out, masks = forgery.apply(frames)
    again = planned(kind, target, other, seed=0, strength=strength).apply(frames)[0]
    assert digest(out) == digest(again) != digest(frames)
    assert forgery.kind == kind and len(forgery.table) == len(truth)
    assert list(forgery.table.columns) == TRAJECTORY_COLUMNS
    for a, b, m in zip(frames, out, masks):
        assert b.dtype == m.dtype == np.uint8 and b.shape == a.shape and m.shape == a.shape[:2]
        assert (a == b)[m == 0].all() and (a != b)[m > 128].any()
        if kind != 'talking_head':
            assert 0.005 < (m > 128).mean() < 0.4
            assert not m[:8].any() and not m[-8:].any()
            assert not m[:, :8].any() and not m[:, -8:].any()


@pytest.mark.parametrize('kind', MANIPULATIONS)
def test_frames_do_not_depend_on_the_order_they_come_in(target, other, kind):
    frames, _ = target
    forgery = planned(kind, target, other, seed=4)
    out, _ = forgery.apply(frames)
    assert [digest([forgery(i, frames[i])[0]]) for i in (7, 2)] == [
        digest([out[i]]) for i in (7, 2)
    ]


@pytest.mark.parametrize('kind', MANIPULATIONS)
def test_a_few_frames_are_enough_to_plan(target, other, kind):
    frames, truth = target
    some = {i: frames[i] for i in (0, 4, 8)}
    out, mask = planned(kind, (some, truth), other)(5, frames[5])
    assert (out == frames[5])[mask == 0].all() and mask.any()
    assert len(planned(kind, (frames[:6], truth), other).table) == len(truth)


@pytest.mark.parametrize('kind', MANIPULATIONS)
def test_strength_is_what_is_left_to_see(target, other, kind):
    "Careless swaps are further from the frame, careless mouths have lost more of their detail."
    frames, _ = target

    def detail(frame):
        return np.abs(cv2.Laplacian(frame.astype(np.float32), cv2.CV_32F))

    def trace(strength):
        out, masks = planned(kind, target, other, seed=1, strength=strength).apply(frames)
        if kind in ('reenact', 'lip_sync'):
            return -np.mean([detail(b)[m > 128].mean() for b, m in zip(out, masks)])
        return np.mean([difference(a, b)[m > 128].mean() for a, b, m in zip(frames, out, masks)])

    assert trace(0.0) < trace(1.0)


@pytest.mark.parametrize('kind', NEEDY)
def test_temporal_sets_the_sign_of_the_jitter(target, other, kind):
    columns = ['jawOpen', 'mouthFunnel'] + ([] if kind in ('reenact', 'lip_sync') else ['yaw'])

    def jerk(table):
        return np.abs(np.diff(table[columns].to_numpy(float), 3, axis=0)).mean()

    smooth, rough = (
        jerk(planned(kind, target, other, seed=2, temporal=t).table) for t in (-0.8, 0.8)
    )
    played = jerk(other[1] if NEEDS[kind] == 'driver' else target[1])
    assert smooth < played < rough


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
        planned(**dict(kind='lip_sync', target=target, other=other) | wrong)


@pytest.mark.parametrize('kind', NEEDY)
def test_what_is_missing_is_named(target, kind):
    with pytest.raises(UsageError, match=f'{kind} needs a {NEEDS[kind]}'):
        forge(kind, *target)
    with pytest.raises(UsageError, match='no frame'):
        forge(kind, target[0], target[1].iloc[:0], source=target, driver=target[1])


@pytest.mark.parametrize('wrong', ['x.mp4', 7, [0.5]])
def test_what_is_no_trajectory_is_refused(target, wrong):
    with pytest.raises(UsageError, match='a trajectory is needed'):
        forge('self_blend', target[0], wrong)
    with pytest.raises(UsageError, match='a trajectory is needed'):
        forge('lip_sync', *target, driver=wrong)


@pytest.mark.parametrize('kind', MANIPULATIONS)
def test_a_video_file_is_forged(tmp_path, kind):
    out, mask = tmp_path / 'out.mp4', tmp_path / 'mask.mp4'
    f = forge_video(SAMPLE, kind, out, seed=1, mask=mask, progress=False)
    before, after, where = (list(read_frames(p)) for p in (SAMPLE, out, mask))
    assert len(before) == len(after) == len(where) == len(f.table)
    assert np.allclose([x.time for x in before], [x.time for x in after], atol=1e-3)
    inside = [
        difference(a.image, b.image)[m.image[..., 0] > 128].mean()
        for a, b, m in zip(before, after, where)
    ]
    assert np.mean(inside) > 1.5
    says = read_provenance(out)
    assert says['altered'] and says['manipulation'] == kind and says['seed'] == 1
    assert len(read_table(out.with_suffix('.parquet'))) == len(f.table)


@pytest.mark.parametrize('kind', ['vfr', 'phone', 'rotated', 'odd_size', 'hevc', 'one_frame'])
def test_shape_and_times_are_kept(tmp_path, kind):
    "Variable rates, pictures stored sideways, odd sides: what is written is what was shown."
    path = videos.make(kind, tmp_path)
    before = list(read_frames(path))
    h, w = before[0].image.shape[:2]
    for n, out in enumerate((tmp_path / 'out.mp4', tmp_path / 'out.mkv')):
        f = forge_video(path, ('self_blend', 'lip_sync')[n], out, crf=10, progress=False)
        after, info = list(read_frames(out)), probe(out)
        assert (info.width, info.height) == (w + w % 2, h + h % 2)
        assert np.allclose([x.time for x in after], [x.time for x in before], atol=2e-3)
        assert np.allclose(f.table['time'], [before[i].time for i in f.table['frame']], atol=1e-6)
        for a, b in zip(before, after):  # beside the face the picture is the same, upright
            assert difference(a.image[:16], b.image[:16, :w]).mean() < 6


def test_a_face_that_leaves_is_not_forged_while_it_is_away(tmp_path):
    frames = [f.image for f in read_frames(SAMPLE, stop=20)]
    frames[8:12] = [np.full_like(frames[0], 90)] * 4
    path = write_video(tmp_path / 'in.mp4', frames, 25, crf=5)
    out = tmp_path / 'out.mp4'
    f = forge_video(path, 'face_swap', out, crf=5, mask=tmp_path / 'm.mp4', progress=False)
    masks = [bool((m.image > 128).any()) for m in read_frames(tmp_path / 'm.mp4')]
    assert masks == [i not in range(8, 12) for i in range(20)]
    assert not set(f.table['frame']) & set(range(8, 12)) and len(list(read_frames(out))) == 20


@pytest.mark.parametrize('kind', ['face_swap', 'lip_sync'])
def test_another_video_is_source_or_driver(tmp_path, kind):
    frames, _ = film(3, 24, 160)
    other = write_video(tmp_path / 'other.mp4', frames[::2], 12.5)
    out = tmp_path / 'out.mp4'
    f = forge_video(SAMPLE, kind, out, other=other, temporal=0.0, progress=False)
    assert read_provenance(out)['source'] == 'other.mp4'
    assert np.isfinite(f.table.drop(columns='video_id').to_numpy(float)).all()


BAD = {  # outputs that cannot be: what makes them, and what is said
    'no suffix': (lambda d: d / 'x', 'must end in .mp4'),
    'another suffix': (lambda d: d / 'x.webm', 'must end in .mp4'),
    'a picture': (lambda d: d / 'x.png', 'must end in .mp4'),
    'a folder': (lambda d: _folder(d / 'x.mp4'), 'not a file'),
    'a file for a folder': (lambda d: _file(d / 'y') / 'x.mp4', 'cannot be written'),
    'a device': (lambda d: '/dev/null/x.mp4', 'cannot be written'),
    'a name too long': (lambda d: d / f'{"x" * 300}.mp4', 'cannot be written'),
    'a folder beside it': (lambda d: _folder(d / 'z.parquet').with_suffix('.mp4'), 'not a file'),
}


def _folder(path):
    path.mkdir()
    return path


def _file(path):
    path.touch()
    return path


OUTPUTS = [(name, which) for which in ('out', 'mask') for name in BAD]
OUTPUTS.remove(('a folder beside it', 'mask'))  # no table is written beside a mask


@pytest.mark.parametrize('name, which', OUTPUTS)
def test_bad_outputs_are_refused_before_any_work(tmp_path, no_work, name, which):
    make, says = BAD[name]
    where = dict(out=tmp_path / 'good.mp4') | {which: make(tmp_path)}
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(FileError, match=says):
        forge_video(SAMPLE, 'self_blend', progress=False, **where)
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write anywhere')
def test_a_locked_folder_is_refused_before_any_work(tmp_path, no_work):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(FileError, match='cannot be written'):
        forge_video(SAMPLE, 'self_blend', tmp_path / 'x.mp4', progress=False)


def test_no_video_named_is_overwritten(tmp_path, no_work):
    clip = tmp_path / 'clip.mp4'
    clip.write_bytes(SAMPLE.read_bytes())
    link, out = tmp_path / 'link.mp4', tmp_path / 'out.mp4'
    link.symlink_to(clip)
    (tmp_path / 'sub').mkdir()
    for target, settings in [
        (clip, dict(out=clip)),
        (clip, dict(out=link)),
        (link, dict(out=clip)),
        (clip, dict(out=tmp_path / 'sub' / '..' / 'clip.mp4')),
        (clip, dict(out=out, mask=clip)),
        (clip, dict(out=out, mask=out)),
        (SAMPLE, dict(out=clip, other=clip)),
    ]:
        with pytest.raises(UsageError, match='would overwrite one of the videos named'):
            forge_video(target, 'self_blend', progress=False, **settings)
    assert clip.read_bytes() == SAMPLE.read_bytes()


@pytest.mark.parametrize('kind', ['missing', 'folder', 'empty', 'text', 'audio', 'no_index'])
def test_unreadable_inputs_are_refused_before_any_work(tmp_path, no_work, kind):
    bad, out = videos.make(kind, tmp_path), tmp_path / 'x.mp4'
    for path, other in ((bad, None), (SAMPLE, bad)):
        with pytest.raises(VideoError, match=bad.name):
            forge_video(path, 'lip_sync', out, other=other, progress=False)
    assert not out.exists()


@pytest.mark.parametrize(
    'wrong',
    [
        dict(seed=-1),
        dict(seed=1.5),
        dict(seed='one'),
        dict(crf=52),
        dict(crf=None),
        dict(strength=2),
        dict(temporal='smooth'),
    ],
)
def test_wrong_settings_are_refused_before_any_work(tmp_path, no_work, wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        forge_video(SAMPLE, 'self_blend', tmp_path / 'x.mp4', progress=False, **wrong)


def test_a_video_without_a_face_is_refused_by_name(tmp_path):
    grey = write_video(tmp_path / 'grey.mp4', [np.full((96, 96, 3), 90, np.uint8)] * 8, 25)
    with pytest.raises(VideoError, match='grey.mp4.*no face'):
        forge_video(grey, 'self_blend', tmp_path / 'x.mp4', progress=False)
    assert not (tmp_path / 'x.mp4').exists()


def test_progress_knows_how_long_it_will_take(tmp_path, monkeypatch):
    seen = []

    def progress(frames, desc, total, unit, disable):
        kept = list(frames)
        seen.append((desc, total, unit, disable, len(kept)))
        return kept

    monkeypatch.setattr(room, 'progress_bar', progress)
    clip = write_video(tmp_path / 'clip.mp4', videos.face_frames(6), 25)
    out, mask = tmp_path / 'out.mp4', tmp_path / 'mask.mp4'
    forge_video(clip, 'self_blend', out, mask=mask, progress=False)
    names = 'self_blend clip.mp4', 'mask of self_blend clip.mp4'
    assert seen == [(name, 6, 'frame', True, 6) for name in names]


def test_frames_are_not_kept(tmp_path, monkeypatch):
    "From the fit on, four times as many frames need no more memory than ten frames take."

    def fitted(*args):
        result = fit(*args)
        tracemalloc.reset_peak()
        return result

    monkeypatch.setattr(room, 'fit', fitted)
    h, w = 360, 480
    scenes = []
    for frame in videos.face_frames(12):
        scene = np.full((h, w, 3), 90, np.uint8)
        scene[52:308, 112:368] = frame
        scenes.append(scene)
    peaks = []
    for times in (3, 12):
        clip = write_video(tmp_path / f'{times}.mp4', scenes * times, 25, preset='ultrafast')
        tracemalloc.start()
        forge_video(clip, 'self_blend', tmp_path / 'out.mp4', progress=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 10 * h * w * 3  # of 108 frames more


def test_provenance_is_plain_words():
    real = provenance('holiday', 'lip_sync', False, seed=3)
    assert 'real recording' in real['comment'] and 'altered' in real['comment']
    assert json.loads(real['threedad'])['altered'] is True
    assert 'Not a real person' in provenance('x', 'original', True)['comment']
    assert read_provenance(SAMPLE).get('manipulation', 'original') == 'original'


def test_every_label_is_as_long_as_any_other():
    labels = [
        provenance(name, kind, synthetic, seed=seed)
        for name in ('a', 'a much longer name of a video')
        for kind in ('original', *MANIPULATIONS)
        for synthetic in (True, False)
        for seed in (1, 10**9)
    ]
    sizes = {sum(len(k) + len(v) for k, v in label.items()) for label in labels}
    assert max(sizes) - min(sizes) <= 32


def test_parts_of_a_seed_do_not_depend_on_each_other():
    person = Person.sample(child_rng(7, 0))
    child_rng(7, 1).random(100)
    assert np.array_equal(person.identity, Person.sample(child_rng(7, 0)).identity)
    assert child_rng(7, 0).random() != child_rng(7, 1).random() != child_rng(8, 1).random()


@pytest.mark.parametrize('fps', [12.0, 25.0, 60.0])
def test_a_performance_is_a_driver_at_its_own_times(fps):
    performance = Performance.sample(3, 20, fps)
    driver = driver_of(Person.sample(1), performance)
    assert np.allclose(driver['time'], np.arange(20) / fps, atol=1e-5)
    assert list(driver.columns) == TRAJECTORY_COLUMNS
    assert np.allclose(driver['yaw'], np.degrees(performance.yaw), atol=1e-2)
