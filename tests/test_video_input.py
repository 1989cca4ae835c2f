"What the library does with every kind of file a user may give it."

import json, os, subprocess, sys, time, warnings
from pathlib import Path

import numpy as np
import pytest

from helpers import videos
from threedad import video
from threedad.core import FileError, UsageError, VideoError
from threedad.tracking import (
    FaceTracker,
    ShotDetector,
    Track,
    crop_matrices,
    track,
    track_all,
    track_many,
)
from threedad.video import crop, probe, read_frames, write_video
from threedad.workers import isolated


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


@pytest.mark.parametrize('kind', videos.BROKEN)
def test_broken_files_are_one_line_errors(kind, tmp_path, capfd):
    path = videos.make(kind, tmp_path)
    for use in (probe, lambda p: list(read_frames(p)), lambda p: track(p, progress=False)):
        with pytest.raises(VideoError) as e:
            use(path)
        assert str(e.value).startswith(f'{path}: ') and '\n' not in str(e.value)
    assert capfd.readouterr().err == ''


@pytest.mark.parametrize(
    'kind, word',
    dict(
        missing='no such file',
        folder='folder',
        empty='empty',
        text='not a video',
        playlist='not a video',
        no_index='cut off',
        audio='no video stream',
    ).items(),
)
def test_errors_name_the_cause(kind, word, tmp_path):
    with pytest.raises(VideoError, match=word):
        probe(videos.make(kind, tmp_path))


@pytest.mark.parametrize('kind', [k for k in videos.ODD if k != 'gif'])
def test_probe_agrees_with_decoding(kind, tmp_path):
    path = videos.make(kind, tmp_path)
    info, frames = probe(path), list(read_frames(path))
    assert frames[0].image.shape == (info.height, info.width, 3) and info.frames == len(frames)
    assert info.duration > 0 and info.fps > 0
    codec = dict(hevc='hevc', vp9='vp9', grey='ffv1', odd_size='ffv1', ten_bit='ffv1').get(
        kind, 'h264'
    )
    assert info.codec == codec and info.rotation == (270 if kind in ('rotated', 'phone') else 0)


def test_reading_a_part_does_not_warn(tmp_path):
    path = videos.make('sample', tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert [f.index for f in read_frames(path, 2, 11, 3)] == [2, 5, 8]
        assert [f.index for f in read_frames(path, step=5)] == [0, 5, 10]
        assert (
            len(list(read_frames(path, stop=0))) == 0
            and len(track(path, stop=3, progress=False)) == 3
        )
    whole = list(read_frames(path))
    assert (next(read_frames(path, start=7)).image == whole[7].image).all()


def test_writing(tmp_path):
    frames = videos.face_frames()
    a, b = (
        write_video(tmp_path / n, frames, 30000 / 1001, metadata=dict(title='A', seed=3))
        for n in ('a.mp4', 'b.mp4')
    )
    assert a.read_bytes() == b.read_bytes() and probe(a).fps == pytest.approx(30000 / 1001)
    import av

    with av.open(str(a)) as c:
        assert c.metadata['title'] == 'A' and c.metadata['seed'] == '3'
    assert (
        next(
            read_frames(write_video(tmp_path / 'odd.mkv', [f[:-1, :-1] for f in frames], 25))
        ).image.shape
        == frames[0].shape
    )
    assert len(list(read_frames(write_video(tmp_path / 'again.mp4', read_frames(a), 25)))) == len(
        frames
    )


def test_failed_writing_leaves_nothing(tmp_path):
    def fails():
        yield videos.face_frames()[0]
        raise RuntimeError('out of paint')

    with pytest.raises(RuntimeError):
        write_video(tmp_path / 'x.mp4', fails(), 25)
    with pytest.raises(VideoError):
        write_video(tmp_path / 'x.mp4', [], 25)
    with pytest.raises(VideoError):
        write_video(
            tmp_path / 'x.mp4',
            [np.zeros((64, 64, 3), np.uint8), np.zeros((32, 64, 3), np.uint8)],
            25,
        )
    assert list(tmp_path.iterdir()) == []


def test_limits_hold(tmp_path, monkeypatch):
    path = videos.make('sample', tmp_path)
    monkeypatch.setattr(video, 'MAX_FRAMES', 5)
    with pytest.raises(VideoError, match='over 5 frames'):
        list(read_frames(path))
    assert len(list(read_frames(path, stop=5))) == 5
    monkeypatch.setattr(video, 'MAX_PIXELS', 1000)
    with pytest.raises(VideoError, match='over the limit'):
        probe(path)


def test_isolated_agrees_and_contains(tracks, folder):
    path = videos.make('sample', folder)
    np.testing.assert_array_equal(
        isolated(track, path, progress=False).points, tracks('sample').points
    )
    assert isolated(probe, path) == vars(probe(path))
    with pytest.raises(VideoError, match='no such file'):
        isolated(track, folder / 'nothing.mp4')
    with pytest.raises(VideoError, match='SIGABRT|exit'):
        isolated(os.abort)
    with pytest.raises(VideoError, match='not finished'):
        isolated(time.sleep, 30, timeout=1)
    with pytest.raises(VideoError, match='ValueError|TypeError|JSON'):
        isolated(json.loads, '{')
