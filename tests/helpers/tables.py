"""Made-up tables in the formats of a store and of predictions, for the tests of what is shown."""

import numpy as np
import pandas as pd


def videos(people=3):
    """One row per video: each person real, and faked by `swap`."""
    rows = [
        dict(video_id=f"toy/{kind}/p{p}", label=label, manipulation=kind, group=f"p{p}")
        for p in range(people)
        for label, kind in enumerate(("original", "swap"))
    ]
    return pd.DataFrame(rows)


def trajectory(video_id="toy/original/p0", frames=60, fps=25, seed=0):
    """A video's coefficients: yaw in degrees, jaw and eyes as activations."""
    t = np.arange(frames) / fps
    g = np.random.default_rng(seed)
    return pd.DataFrame(
        dict(
            video_id=video_id,
            frame=np.arange(frames),
            time=t,
            yaw=10 * np.sin(2 * t) + g.normal(0, 0.3, frames),
            jawOpen=np.clip(0.5 + 0.5 * np.sin(12 * t), 0, 1),
            eyeBlinkLeft=np.exp(-0.5 * ((t - 1) / 0.06) ** 2),
        )
    )


def trajectories(table):
    """The coefficients of all videos of a table."""
    parts = [trajectory(v, seed=i) for i, v in enumerate(table["video_id"])]
    return pd.concat(parts, ignore_index=True)


def predictions(people=8, clips=6, seed=0):
    """One row per clip; fakes score higher, not always."""
    g = np.random.default_rng(seed)
    rows = []
    for p in range(people):
        for kind, centre in (("original", 0.4), ("swap", 0.65), ("reenact", 0.6)):
            about = dict(video_id=f"toy/{kind}/p{p}", label=int(kind != "original"))
            about |= dict(manipulation=kind, group=f"p{p}", detector="toy")
            scores = np.clip(centre + g.normal(0, 0.15) + g.normal(0, 0.1, clips), 0, 1)
            rows += [
                about | dict(clip=i, first_frame=4 * i, score=s) for i, s in enumerate(scores)
            ]
    return pd.DataFrame(rows)
