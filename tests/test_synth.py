"""Synthetic people: same seed, same bytes; truth that projects onto the face; faces to be found."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from threedad.motion import TRAJECTORY_COLUMNS
from threedad.morphable import MorphableModel, euler_to_matrix, project
from threedad.faces import FaceTracker
from threedad.people import Glasses, Person
from threedad.performance import Performance
from threedad.synth import Scene, in_perspective, render_video, smear


def digest(frames):
    return hashlib.sha256(np.stack(frames).tobytes()).hexdigest()


def film(seed, n=12, size=128, **kwargs):
    return render_video(
        Person.sample(seed),
        Performance.sample(100 + seed, n),
        Scene.sample(200 + seed),
        size,
        **kwargs,
    )


@pytest.fixture(scope='module')
def target():
    return film(1)


def test_same_seed_same_bytes(target):
    frames, truth = film(1)
    assert digest(frames) == digest(target[0]) != digest(film(3)[0])
    assert truth.equals(target[1])


def test_frames_do_not_depend_on_which_are_asked_for(target):
    frames, truth = film(1, frames=[3, 7])
    assert digest(frames) == digest([target[0][3], target[0][7]])
    assert list(truth['frame']) == [3, 7]


def test_truth_is_a_trajectory(target):
    _, truth = target
    assert list(truth.columns) == TRAJECTORY_COLUMNS
    assert np.isfinite(truth.drop(columns='video_id').to_numpy(float)).all()


def test_truth_projects_onto_the_face(target):
    model, (_, truth) = MorphableModel.load(), target
    row = truth.iloc[5]
    v = model.vertices(
        identity=row[[f'id_{k:02}' for k in range(40)]].to_numpy(np.float32),
        actions=row[model.action_names].to_numpy(np.float32),
    )
    p = project(
        model.landmarks(v),
        row.scale,
        euler_to_matrix(*np.radians(row[['yaw', 'pitch', 'roll']].astype(float))),
        row[['tx', 'ty']].to_numpy(float),
    )
    assert np.allclose(
        [*p[:, :2].min(0), *p[:, :2].max(0)],
        row[['x0', 'y0', 'x1', 'y1']].astype(float),
        atol=0.05,
    )


def test_tracker_finds_the_faces():
    found = total = 0
    for s in range(12):
        tracker = FaceTracker()
        frames, _ = film(300 + s, 40, 256, frames=range(0, 40, 5))
        found += sum(bool(tracker(f)) for f in frames)
        total += len(frames)
    assert found >= 0.99 * total


FRAME = Glasses(0.07, (0.01, 0.01, 0.01))
PLAIN = dict(focal=np.inf, shutter=0.0, gain_drift=0.0, lamp_drift=0.0, held='')


def shot(frames=(2, 14, 30), person=5, glasses=None, size=256, n=48, **camera):
    scene = replace(Scene.sample(200 + person), **{**PLAIN, **camera})
    return render_video(
        replace(Person.sample(person), glasses=glasses),
        Performance.sample(100 + person, n),
        scene,
        size,
        frames=frames,
    )


@pytest.mark.parametrize(
    'change',
    [
        dict(glasses=FRAME),
        dict(held='microphone'),
        dict(held='hand'),
        dict(focal=2.2),
        dict(shutter=1.0),
        dict(gain_drift=0.1),
        dict(lamp_drift=0.2),
    ],
    ids=str,
)
def test_camera_and_things_change_pixels_and_not_the_truth(change):
    (plain, truth), (changed, same) = shot(), shot(**change)
    assert truth.equals(same)
    assert any((a != b).any() for a, b in zip(plain, changed))
    assert digest(changed) == digest(shot(**change)[0])
    assert digest(changed[1:2]) == digest(shot(frames=[14], **change)[0])


def test_glasses_turn_with_the_head_and_stay_around_the_eyes():
    for person in (5, 11):
        (plain, truth), (worn, _) = shot(person=person), shot(person=person, glasses=FRAME)
        for a, b, (_, row) in zip(plain, worn, truth.iterrows()):
            y, x = np.nonzero(np.abs(a.astype(int) - b).sum(-1) > 60)
            assert len(y) > 100 and np.abs(x.mean() - (row.x0 + row.x1) / 2) < 0.45 * row.scale
            assert row.y0 < y.mean() < (row.y0 + row.y1) / 2 + 0.2 * row.scale


def test_tracker_finds_faces_behind_glasses_and_things():
    found = total = 0
    for s in range(4):
        for change in (
            dict(glasses=FRAME),
            dict(held='microphone'),
            dict(held='hand'),
            dict(focal=2.2, shutter=0.6),
        ):
            tracker, frames = FaceTracker(), shot(range(0, 48, 4), 400 + s, **change)[0]
            found += sum(bool(tracker(f)) for f in frames)
            total += len(frames)
    assert found >= 0.99 * total, (found, total)


def test_perspective_keeps_the_middle_and_enlarges_what_is_near():
    middle = np.float32([50, 60, 5])
    p = np.float32([[50, 60, 5], [60, 60, 5], [60, 60, 25], [60, 60, -15]])
    assert np.allclose(
        in_perspective(p, middle, 100.0),
        [[50, 60, 5], [60, 60, 5], [62.5, 60, 25], [50 + 10 / 1.2, 60, -15]],
        atol=1e-4,
    )
    assert in_perspective(p, middle, np.inf) is p


def test_smear_keeps_light_and_moves_nothing():
    image = np.zeros((41, 41, 4), np.float32)
    image[20, 20] = 1
    for way in ([6, 0], [0, -4], [3.3, 4.7]):
        out = smear(image, np.array(way, float))[..., 0]
        y, x = np.mgrid[:41, :41]
        assert np.allclose([out.sum(), (x * out).sum(), (y * out).sum()], [1, 20, 20], atol=1e-3)
        assert (
            0.8
            < np.sqrt(((x - 20) ** 2 * out + (y - 20) ** 2 * out).sum())
            / (np.hypot(*way) / np.sqrt(12))
            < 1.5
        )
    assert smear(image, np.array([0.2, 0.1])) is image


def test_scenes_come_in_the_shares_they_should():
    scenes = [Scene.sample(s) for s in range(1000)]
    assert 0.055 <= np.mean([bool(s.held) for s in scenes]) <= 0.105
    assert all(2.2 <= s.focal <= 7 and 0 <= s.shutter < 1 for s in scenes)
