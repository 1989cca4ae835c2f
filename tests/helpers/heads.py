"""Tracks of a known head: landmarks of the shipped model, posed and talking, with noise."""

import numpy as np

from threedad.morphable import MorphableModel, euler_to_matrix, project
from threedad.tracking import Track
from threedad.motion import ACTION_COLUMNS


def head_track(yaw=0.0, pitch=0.0, roll=0.0, frames=12, noise=0.5, seed=0, time=None):
    """A Track of one person whose jaw moves; angles in degrees, one number or one per frame."""
    g, model = np.random.default_rng(seed), MorphableModel.load()
    person = np.repeat(g.normal(size=(1, 40)), frames, 0)
    actions = np.zeros((frames, 52))
    actions[:, ACTION_COLUMNS.index("jawOpen")] = 0.4 * np.sin(np.arange(frames) / 3) ** 2
    X = model.landmarks(model.vertices(identity=person, actions=actions))
    angles = [np.radians(np.broadcast_to(a, frames)) for a in (yaw, pitch, roll)]
    points = project(X, np.full(frames, 60.0), euler_to_matrix(*angles), np.full((frames, 2), 128))
    points[..., :2] += g.normal(0, noise, points[..., :2].shape)
    number = np.arange(frames)
    time = number / 25 if time is None else np.asarray(time, float)
    seen = points.astype(np.float32), np.ones(frames), 1
    return Track("head.mp4", 25.0, 256, 256, number, time, *seen)
