"""The road from pixels to pose: synthetic videos are encoded, tracked and fitted by the command line, and compared with their true pose."""

import numpy as np
import pandas as pd

from threedad.cli import main
from threedad.core import rng
from threedad.performance import Performance
from threedad.people import Person
from threedad.synth import Scene, render_video
from threedad.video import write_video

ANGLES = ["yaw", "pitch", "roll"]


def test_track_finds_the_true_pose(tmp_path):
    "Over six people the median error of each angle is at most 3 degrees; a person's own shape can pass for some degrees of pitch, so no single video is held to it."
    errors = []
    for seed in range(6):
        g = rng(seed)
        frames, truth = render_video(Person.sample(g), Performance.sample(g, 24), Scene.sample(g))
        video = write_video(tmp_path / f"{seed}.mp4", frames, 25)
        assert main(["track", str(video), "--out", str(tmp_path / str(seed))]) == 0
        found = pd.read_parquet(tmp_path / str(seed) / "trajectories.parquet")
        assert len(found) == len(frames)
        errors.append(np.abs(found[ANGLES].to_numpy() - truth[ANGLES].to_numpy()))
    assert (np.median(np.concatenate(errors), axis=0) <= 3).all(), np.median(errors, axis=1)
