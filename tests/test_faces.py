"""Faces from frame to frame, and the cuts between scenes."""

import threading

import cv2
import numpy as np
import pytest

from helpers import videos
from threedad.core import UsageError
from threedad.faces import FaceTracker, ShotDetector
from threedad.video import read_frames


def test_the_tracker_starts_afresh():
    tracker = FaceTracker()
    first = [tracker(f)[0].points for f in videos.face_frames()[:3]]
    tracker.reset()
    np.testing.assert_array_equal([tracker(f)[0].points for f in videos.face_frames()[:3]], first)


def _cuts(frames):
    shots = ShotDetector()
    for f in frames:
        shots(f)
    return list(np.flatnonzero(np.diff(shots.shots())) + 1)


def test_cuts_are_found_where_they_are():
    one, other = videos.cast()
    for n in (1, 2, 20):
        assert _cuts(one[:20] + other[:n]) == [20]
    dark, small = np.zeros_like(one[0]), [f[::2, ::2] for f in other]
    assert (
        _cuts([dark] * 10 + one) == [10]
        and _cuts([dark] * 20) == []
        and _cuts(one) == []
        and _cuts([]) == []
    )
    assert _cuts(one[:20] + [np.pad(f, ((56, 56), (56, 56), (0, 0))) for f in small]) == [20]


@pytest.mark.parametrize('t', [1, 2, 20, 40])
def test_light_and_motion_are_no_cuts(t):
    frames = [f.image for f in read_frames(videos.SAMPLE)]
    assert _cuts(frames) == []
    for length in (1, 2):  # a camera's flash, blown out
        lit = [
            np.clip(2.0 * f + 60, 0, 255).astype(np.uint8) if t <= i < t + length else f
            for i, f in enumerate(frames)
        ]
        assert _cuts(lit) == []
    lamp = [(f * (1 if i < t else 0.6)).astype(np.uint8) for i, f in enumerate(frames)]
    assert _cuts(lamp) == []
    assert _cuts([np.roll(f, 12 * max(i - t, 0), axis=1) for i, f in enumerate(frames)]) == []


@pytest.mark.parametrize('size, late', [(180, 6), (240, 6), (240, 20)])
def test_a_larger_newcomer_replaces_the_smallest(size, late):
    face = videos.face_frames(1)[0]
    tracker = FaceTracker(max_faces=2, every=10)
    for t in range(40):
        scene = np.full((260, 560, 3), (90, 96, 110), np.uint8)
        for x in (5, 150):
            scene[20:140, x : x + 120] = cv2.resize(face, (120, 120))
        if t >= late:
            scene[10 : 10 + size, 300 : 300 + size] = cv2.resize(face, (size, size))
        faces = tracker(scene)
        assert len(faces) == 2
    widths = sorted(f.box[2] - f.box[0] for f in faces)
    assert widths[1] > 1.3 * widths[0]


@pytest.mark.parametrize('image', ['a.jpg', None, np.zeros((8, 8)), np.zeros((8, 8, 3))])
def test_what_is_no_picture_gets_a_sentence(image):
    with pytest.raises(UsageError, match='a picture is'):
        FaceTracker()(image)


def test_trackers_in_threads_leave_the_error_stream_alone(capfd):
    import os

    before = os.fstat(2).st_ino
    threads = [threading.Thread(target=FaceTracker) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert os.fstat(2).st_ino == before
    os.write(2, b'still here')
    assert 'still here' in capfd.readouterr().err


@pytest.mark.parametrize('shift', [0, 9, 23])
def test_the_first_frame_of_a_still_face_lies_where_it_settles(shift):
    still = np.roll(videos.face_frames(1)[0], shift, axis=1)
    tracker = FaceTracker()
    points = np.array([tracker(still)[0].points[:, :2] for _ in range(12)])
    eyes = np.linalg.norm(points[0, 468] - points[0, 473])
    off = np.linalg.norm(points[0] - points[6:].mean(0), axis=1).mean()
    assert off < 1e-3 * eyes
