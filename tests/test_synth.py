"Synthetic people: same seed, same bytes; truth that projects onto the face; faces that a tracker finds."
import hashlib

import numpy as np
import pytest

from threedad.fit import TRAJECTORY_COLUMNS
from threedad.morphable import MorphableModel, euler_to_matrix, project
from threedad.synth import Performance, Person, Scene, render_video


def digest(frames): return hashlib.sha256(np.stack(frames).tobytes()).hexdigest()

def film(seed, n=12, size=128, **kwargs): return render_video(Person.sample(seed), Performance.sample(100+seed, n), Scene.sample(200+seed), size, **kwargs)

@pytest.fixture(scope='module')
def target(): return film(1)

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
    model, (frames, truth) = MorphableModel.load(), target
    row = truth.iloc[5]
    v = model.vertices(identity=row[[f'id_{k:02}' for k in range(40)]].to_numpy(np.float32), actions=row[model.action_names].to_numpy(np.float32))
    p = project(model.landmarks(v), row.scale, euler_to_matrix(*np.radians(row[['yaw', 'pitch', 'roll']].astype(float))), row[['tx', 'ty']].to_numpy(float))
    assert np.allclose([*p[:, :2].min(0), *p[:, :2].max(0)], row[['x0', 'y0', 'x1', 'y1']].astype(float), atol=.05)

def test_tracker_finds_the_faces():
    from threedad.video import FaceTracker
    found = total = 0
    for s in range(12):
        tracker = FaceTracker()
        frames, _ = film(300+s, 40, 256, frames=range(0, 40, 5))
        found += sum(bool(tracker(f)) for f in frames); total += len(frames)
    assert found >= .99*total
