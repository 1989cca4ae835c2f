"""Tracks of everybody in a video: who is who, gaps, time, memory, and many videos at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import videos
from threedad.core import FileError, UsageError, rng
from threedad.fit import fit
from threedad.landmarks import LEFT_EYE, RIGHT_EYE, crop_matrices
from threedad.people import Person
from threedad.performance import Performance
from threedad.synth import Scene, render_video
from threedad.tracking import Track, ahead, rate_of, track, track_all, track_many
from threedad.video import crop, read_frames, write_video


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('videos')


@pytest.fixture(scope='module')
def tracks(folder):  # one track a kind, made when first asked for
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = track(videos.make(kind, folder), progress=False)
        return made[kind]

    return get


@pytest.mark.parametrize('kind', videos.ODD)
def test_odd_videos_track_in_every_frame(kind, tracks):
    t = tracks(kind)
    assert (
        len(t) == (1 if kind == 'one_frame' else 12) and t.faces_found == len(t) and t.error == ''
    )
    assert (
        t.points.shape == (len(t), 478, 3)
        and t.points.dtype == np.float32
        and t.box.shape == (len(t), 4)
    )
    assert (t.frame == np.arange(len(t))).all() and (np.diff(t.time) > 0).all() and t.time[0] == 0
    assert (t.score > 0.5).all() and t.faces == (2 if kind == 'two_faces' else 1)


@pytest.mark.parametrize(
    'kind', ['hevc', 'vp9', 'grey', 'ten_bit', 'odd_size', 'rotated', 'vfr', 'phone']
)
def test_coding_hardly_moves_the_points(kind, tracks):
    a, b = tracks('sample').points[..., :2], tracks(kind).points[..., :2]
    eyes = np.linalg.norm(a[:, LEFT_EYE] - a[:, RIGHT_EYE], axis=-1).mean()
    assert np.linalg.norm(a - b, axis=-1).mean() < 0.03 * eyes


@pytest.mark.parametrize('kind, times', [('vfr', videos.VFR), ('phone', videos.PHONE)])
def test_variable_frame_rate_keeps_its_times(kind, times, tracks):
    np.testing.assert_allclose(tracks(kind).time, times, atol=1e-3)


def test_no_face_is_a_track_without_faces(tracks):
    t = tracks('no_face')
    assert len(t) == 40 and t.faces_found == 0 and t.faces == 0 and not t.found.any()
    assert np.isnan(t.points).all() and np.isnan(t.box).all() and (t.score == 0).all()
    assert 'face in 0' in repr(t)


@pytest.mark.parametrize('kind, word', [('truncated', 'truncated after frame'), ('damaged', '')])
def test_half_files_give_what_they_hold_and_say_so(kind, word, folder, tracks):
    t = tracks(kind)
    assert 0 < len(t) <= 12 and t.faces_found > 0
    assert word in t.error and t.error and '\n' not in t.error and t.error in repr(t)
    with pytest.warns(UserWarning, match='frames? '):
        assert len(list(read_frames(videos.make(kind, folder)))) == len(t)


def test_main_face_is_the_larger_of_two(tmp_path):
    small = np.full_like(videos.face_frames()[0], 90)
    h, w = (s // 2 for s in small.shape[:2])

    def both(f):
        s = small.copy()
        s[:h, :w] = f[::2, ::2]
        return np.concatenate([s, f], 1)

    t = track(
        write_video(tmp_path / 'two.mp4', map(both, videos.face_frames()), 25), progress=False
    )
    assert t.faces == 2 and (t.box[:, 0] > 2 * w).all()


def test_a_cut_loses_no_frame(tmp_path):
    frames, grey = videos.face_frames(24), np.full_like(videos.face_frames()[0], 90)
    film = [np.concatenate([f, grey], 1) for f in frames[:12]] + [
        np.concatenate([grey, f], 1) for f in frames[12:]
    ]
    t = track(write_video(tmp_path / 'cut.mp4', film, 25), progress=False)
    assert t.faces_found == 24 and (t.box[12:, 0] > t.width / 2).all()


def test_a_track_survives_saving(tracks, tmp_path):
    t = tracks('sample')
    again = Track.load(t.save(tmp_path / 't.npz'))
    for k, v in vars(t).items():
        np.testing.assert_array_equal(getattr(again, k), v)
    for name, content in (('text.npz', b'no track'), ('none.npz', None)):
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(FileError):
            Track.load(tmp_path / name)


def test_tracking_is_repeatable(tracks, folder):
    np.testing.assert_array_equal(
        tracks('sample').points, track(videos.make('sample', folder), progress=False).points
    )


def test_crops(tracks, tmp_path):
    t, image = tracks('sample'), videos.face_frames()[0]
    m = crop_matrices(t.points)
    assert m.shape == (len(t), 2, 3) and np.allclose(m[0], crop_matrices(t.points[0]))
    assert crop(image, m[0]).shape == (224, 224, 3) and crop(image, m[0], 224).dtype == np.uint8
    with pytest.raises(UsageError):
        crop(image, crop_matrices(np.full((478, 3), np.nan)))
    centre = crop(image, [[1, 0, 0], [0, 1, 0]], image.shape[0])
    assert (centre == image[:, : image.shape[0]]).all()


def _x(t):
    return t.box[:, [0, 2]].mean(1)


@pytest.mark.parametrize('front', [0, 1])
def test_two_people_cross_and_stay_themselves(front, tmp_path):
    tracks = track_all(
        write_video(tmp_path / 'crossing.mp4', videos.crossing(front=front), 25), progress=False
    )
    assert [t.id for t in tracks] == [0, 1] and all((t.shot == 0).all() for t in tracks)
    for t in tracks:
        at = t.frame[t.found]
        assert at[0] == 0 and at[-1] == 89 and t.faces == 2
        ends = _x(t)[t.found][[0, -1]]
        right = ends[0] < 300
        x = np.interp(at, [0, 89], [110, 490] if right else [490, 110])
        assert (
            np.abs(_x(t)[t.found] - x).max() < 60
        )  # never on the other's path, save where they overlap
    assert {bool(_x(t)[0] < 300) for t in tracks} == {True, False}
    assert tracks[0].faces_found > 85 and tracks[1].faces_found > 60


def test_a_cut_to_another_person_ends_the_track(tmp_path):
    one, other = videos.cast()
    film = one[:40] + other[:25] + one[20:40]
    main, second = track_all(write_video(tmp_path / 'cut.mp4', film, 25), progress=False)
    assert (np.flatnonzero(np.diff(main.shot)) + 1 == [40, 65]).all()
    assert (
        main.found[:40].all() and not main.found[40:65].any() and main.found[65:].all()
    )  # known again after it
    assert (
        (second.frame == np.arange(40, 65)).all()
        and second.found.all()
        and (second.shot == 1).all()
    )
    table = main.table()
    assert list(table) == [
        'frame',
        'time',
        'shot',
        'face_found',
        'state',
        'score',
        'x0',
        'y0',
        'x1',
        'y1',
    ] and len(table) == len(film)
    assert (
        (~table.face_found).sum() == 25
        and table.loc[~table.face_found, 'x0'].isna().all()
        and (table.score[~table.face_found] == 0).all()
    )


def test_others_are_kept(tracks, folder):
    main, second = track_all(videos.make('two_faces', folder), progress=False)
    np.testing.assert_array_equal(main.points, tracks('two_faces').points)
    assert (
        second.faces_found == 12
        and second.id == 1
        and (np.sign(_x(main) - 256) == -np.sign(_x(second) - 256)).all()
    )


def test_an_older_track_can_be_read(tracks, tmp_path):
    t = tracks('sample')
    about = {k: getattr(t, k) for k in ('path', 'fps', 'width', 'height', 'faces', 'error')}
    np.savez(
        tmp_path / 'old.npz',
        about=json.dumps(about),
        **{k: getattr(t, k) for k in ('frame', 'time', 'points', 'score')},
    )
    old = Track.load(tmp_path / 'old.npz')
    assert (old.shot == 0).all() and old.id == 0 and len(old.shot) == len(t)


@pytest.mark.parametrize('workers', [0, 2])
def test_many_videos_and_nothing_lost(workers, tracks, tmp_path, folder):
    paths = [
        videos.make(k, tmp_path)
        for k in ('sample', 'text', 'no_face', 'missing', 'truncated', 'rotated')
    ]
    table = track_many(paths, tmp_path / 'tracks', workers, progress=False)
    assert list(table.path) == [str(p) for p in paths] and list(table.status) == [
        'ok',
        'unreadable',
        'no_face',
        'unreadable',
        'ok',
        'ok',
    ]
    assert (table.error[[0, 2, 5]] == '').all() and table.error.str.contains(
        'not a video|no such file|truncated'
    ).sum() == 3
    for i in (0, 5):
        np.testing.assert_array_equal(
            Track.load(table.track[i]).points,
            tracks(['sample', '', '', '', '', 'rotated'][i]).points,
        )
    assert table.faces_found[0] == 12 and not [
        p for p in (tmp_path / 'tracks').iterdir() if p.name.startswith('.')
    ]
    Path(table.track[0]).touch()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / 'tracks').iterdir()}
    assert table.equals(
        track_many(paths, tmp_path / 'tracks', workers, progress=False)
    ) and before == {p: p.stat().st_mtime_ns for p in (tmp_path / 'tracks').iterdir()}
    os.utime(paths[0], ns=(2 * 10**18,) * 2)
    track_many(paths[:1], tmp_path / 'tracks', workers, progress=False)
    assert Path(table.track[0]).stat().st_mtime_ns > before[Path(table.track[0])]


def test_a_video_that_takes_too_long_costs_itself(tmp_path):
    table = track_many(
        [videos.make(k, tmp_path) for k in ('sample', 'one_frame')],
        tmp_path / 'tracks',
        1,
        timeout=0,
        progress=False,
    )
    assert (
        list(table.status) == ['corrupt'] * 2 and table.error.str.contains('took too long').all()
    )


@pytest.mark.slow
def test_memory_does_not_grow_with_the_video(tmp_path):
    "Ten minutes of 1080p: nothing is kept but the points, once."
    code = (
        'import sys, resource; from threedad.tracking import track; '
        't = track(sys.argv[1], progress=False); '
        'print(len(t), t.faces_found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)'
    )
    peak = {}
    for minutes in (1, 10):
        path = videos.full_hd(tmp_path / f'{minutes}.mp4', minutes)
        n, found, kb = map(
            int,
            subprocess.run(
                [sys.executable, '-c', code, str(path)], capture_output=True, text=True, check=True
            ).stdout.split(),
        )
        assert found == n
        peak[n] = kb * 1024 / (1 if sys.platform != 'darwin' else 1024)
    (short, a), (long, b) = peak.items()
    assert long > 14000 and b < 1.5e9 and (b - a) / (long - short) < 2 * 478 * 3 * 4


def _street(n, places, size=(260, 600)):
    """n frames of a grey street with the sample person at the places x (None: nobody)."""
    frames, shown = videos.face_frames(12), []
    for t in range(n):
        scene = np.full((*size, 3), (90, 96, 110), np.uint8)
        x = places(t)
        if x is not None:
            scene[2:258, x : x + 256] = frames[t % 12]
        shown.append(scene)
    return shown


@pytest.mark.parametrize('away', [6, 15, 40])
@pytest.mark.parametrize('back_at', [20, 60])
def test_whoever_leaves_and_returns_is_one_person(away, back_at, tmp_path):
    def place(t):
        return 20 if t < 16 else back_at if t >= 16 + away else None

    film = _street(32 + away, place)
    tracks = track_all(write_video(tmp_path / 'leave.mp4', film, 25), progress=False)
    assert len(tracks) == 1 and tracks[0].faces_found == 32
    assert not tracks[0].found[16 : 16 + away].any()


@pytest.mark.parametrize('turns, roll', [(1, 90), (2, 180), (3, -90)])
def test_a_face_the_wrong_way_up_is_found_as_such(turns, roll, tmp_path):
    film = [np.ascontiguousarray(np.rot90(f, turns)) for f in videos.face_frames(8)]
    t = track(write_video(tmp_path / 'turned.mp4', film, 25, crf=10), progress=False)
    assert t.faces_found == 8
    found = fit(t).table['roll'].to_numpy()
    apart = (found - roll + 180) % 360 - 180
    assert np.abs(np.median(apart)) < 15, found


@pytest.mark.parametrize('order', [(0, 1), (1, 0)])
def test_the_main_face_does_not_depend_on_who_came_first(order, tmp_path):
    small, large = (f[::2, ::2] for f in videos.face_frames(40)), videos.face_frames(40)
    film = []
    for t, (s, f) in enumerate(zip(small, large)):
        scene = np.full((256, 420, 3), 90, np.uint8)
        if t >= 6 * order[0]:
            scene[:, 160:416] = f
        if t >= 6 * order[1]:
            scene[80:208, 10:138] = s
        film.append(scene)
    main = track(write_video(tmp_path / 'order.mp4', film, 25), progress=False)
    assert np.nanmedian(main.box[:, 0]) > 150


@pytest.mark.parametrize('path', [None, 5, ['a.mp4'], np.zeros(3)])
def test_what_is_no_path_gets_a_sentence(path):
    for use in (track, track_all):
        with pytest.raises(UsageError, match='path of a video'):
            use(path)


@pytest.mark.parametrize('name', ['<img src=x>.mp4', '"><script>.mp4', 'a&b.mp4'])
def test_names_are_text_in_html(name, tracks):
    t = Track(**vars(tracks('sample')) | dict(path=name))
    assert '<img' not in t._repr_html_() and '<script' not in t._repr_html_()
    assert '12 frames' in t._repr_html_()


@pytest.mark.parametrize(
    'time, rate',
    [(np.arange(9) / 25, 25), (np.cumsum([0, 0.04, 0.04, 0.04, 2.0, 0.04]), 25), ([0.0], 7)],
)
def test_the_rate_is_the_median_step(time, rate):
    assert rate_of(np.array(time), 7) == pytest.approx(rate)


@pytest.mark.parametrize('n', [0, 1, 3, 50])
def test_reading_ahead_keeps_order_and_errors(n):
    def items():
        yield from range(n)
        raise OSError('the end')

    got = []
    with pytest.raises(OSError, match='the end'):
        for item in ahead(items(), 3):
            got.append(item)
    assert got == list(range(n))


@pytest.mark.parametrize(
    'some, frames',
    [
        (dict(every=5), range(0, 48, 5)),
        (dict(every=100), [0]),
        (dict(at=[7]), [7]),
        (dict(at=[40, 3, 3, 11]), [3, 11, 40]),
        (dict(at=range(45, 48)), [45, 46, 47]),
        (dict(every=7, stop=20), [0, 7, 14]),
        (dict(at=[5, 30], stop=20), [5]),
    ],
)
def test_some_frames_alone_have_the_landmarks_of_the_whole(some, frames):
    whole, found = (
        track(videos.SAMPLE, progress=False),
        track(videos.SAMPLE, progress=False, **some),
    )
    assert found.frame.tolist() == list(frames) and found.found.all() and not found.error
    np.testing.assert_array_equal(found.time, whole.time[found.frame])
    eyes = np.linalg.norm(whole.points[:, 33, :2] - whole.points[:, 263, :2], axis=1)
    apart = np.linalg.norm((found.points - whole.points[found.frame])[..., :2], axis=2).mean(1)
    assert (apart / eyes[found.frame]).max() < 0.01


def test_frames_that_are_not_there_are_named():
    found = track(videos.SAMPLE, progress=False, at=[10, 500, 600, 700, 800])
    assert found.frame.tolist() == [10] and 'there is no frame 500, 600, 700 ...' in found.error


def test_two_people_are_told_apart_in_few_frames(tmp_path):
    pair = videos.make('two_faces', tmp_path)
    whole, few = (track_all(pair, progress=False, **k) for k in ({}, dict(every=5)))
    assert [t.id for t in few] == [t.id for t in whole] == [0, 1]
    assert all(len(t) < len(w) for t, w in zip(few, whole))


@pytest.mark.parametrize(
    'some', [dict(every=0), dict(every=1.5), dict(at=[]), dict(at=[-1]), dict(every=2, at=[1])]
)
def test_a_choice_of_frames_that_cannot_be_is_refused(some):
    with pytest.raises(UsageError, match='every|at holds'):
        track(videos.SAMPLE, progress=False, **some)


def test_a_face_that_turns_away_is_flagged_in_every_frame(tmp_path):
    g, n = rng(1), 40
    cast = Person.sample(g), Performance.sample(g, n), Scene.sample(g)
    cast[1].yaw = np.radians(90 * np.sin(np.linspace(0, np.pi, n)))
    images, _ = render_video(*cast)
    t = track(write_video(tmp_path / 'turn.mp4', images, 25), progress=False)
    state = t.table().state
    assert set(state) == {'seen', 'profile'} and (state == 'seen').tolist() == t.found.tolist()
    assert (state[15:25] == 'profile').all() and 'profile in' in repr(t)
    again = Track.load(t.save(tmp_path / 'turn.npz'))
    np.testing.assert_array_equal(again.state, t.state)


def test_a_face_that_is_found_but_not_measured_is_hidden(tmp_path):
    frames = [f.copy() for f in videos.face_frames(40)]
    for f in frames[15:30]:
        f[100:200, 60:190] = 10
    state = track(write_video(tmp_path / 'covered.mp4', frames, 25), progress=False).table().state
    assert (state[:15] == 'seen').all() and (state[30:] == 'seen').all()
    assert 'hidden' in set(state[15:30]) and 'profile' not in set(state)


def test_an_empty_picture_is_absent(tmp_path):
    frames = [f.copy() for f in videos.face_frames(30)]
    for f in frames[10:20]:
        f[:] = 90
    t = track(write_video(tmp_path / 'gone.mp4', frames, 25), progress=False)
    assert (t.table().state[10:20] == 'absent').all() and (t.table().state[20:] == 'seen').all()


def test_a_track_saved_before_there_were_states_is_read(tmp_path):
    t = track(videos.make('one_frame', tmp_path), progress=False)
    path = t.save(tmp_path / 'old.npz')
    with np.load(path, allow_pickle=False) as z:
        old = {k: z[k] for k in z if k not in ('state', 'shot')}
    np.savez(path, **old)
    assert Track.load(path).table().state.tolist() == ['seen']
