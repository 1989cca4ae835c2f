"""Trajectories made of known curves."""

import numpy as np
import pandas as pd

from threedad.motion import EXPRESSION_COLUMNS, TRAJECTORY_COLUMNS
from threedad.trajectory import Trajectory


def made(time, frame=None, video_id='v', **columns):
    time = np.asarray(time, float)
    known = (
        dict(
            video_id=video_id,
            frame=np.arange(len(time)) if frame is None else np.asarray(frame),
            time=time,
        )
        | columns
    )
    return Trajectory(
        pd.DataFrame({c: known.get(c, np.zeros(len(time))) for c in TRAJECTORY_COLUMNS})
    )


def talking(n=120, fps=30, seed=0, video_id='v', noise=0.05):
    g, t = np.random.default_rng(seed), np.arange(n) / fps

    def wave():
        turns = g.uniform(0.3, 1) * t + g.random()
        return np.sin(2 * np.pi * turns) + g.normal(0, noise, n)

    return made(
        t,
        video_id=video_id,
        scale=100 + wave(),
        **{c: 8 * wave() for c in ('yaw', 'pitch', 'roll')},
        **{c: wave() for c in EXPRESSION_COLUMNS},
        identity_strain=0.3 + 0.01 * wave(),
        residual=0.01 + 0.001 * np.abs(wave()),
        jawOpen=np.abs(wave()),
        eyeBlinkLeft=np.abs(wave()) ** 8,
    )
