"""How synthetic people speak, blink, look and move: at any rate, for any time, as people do."""

import numpy as np
import pytest

from threedad.morphable import MorphableModel
from threedad.performance import (
    REAL_MOTION,
    VISEMES,
    Performance,
    blinks,
    drift_noise,
    saccades,
    speech,
)

NAMES = MorphableModel.load().action_names


@pytest.mark.parametrize('interval', [1.5, 3.0])
def test_blink_intervals_are_log_normal(interval):
    fps, closed = 100.0, blinks(np.random.default_rng(0), 120_000, 100.0, interval)
    starts = np.flatnonzero((closed[1:] > 0.5) & (closed[:-1] <= 0.5)) / fps
    log = np.log(np.diff(starts))
    assert abs(np.median(log) - np.log(interval)) < 0.12 and 0.4 < log.std() < 0.65
    assert abs(((log - log.mean()) ** 3).mean() / log.std() ** 3) < 0.5


def test_heads_move_as_much_as_real_ones():
    for angle, most in dict(yaw=50, pitch=26, roll=26).items():
        p = [Performance.sample(s, 150) for s in range(40)]
        x = np.degrees([getattr(q, angle) for q in p])
        assert (
            REAL_MOTION[f'{angle}_std'][1] <= np.median(x.std(1)) <= REAL_MOTION[f'{angle}_std'][3]
            and np.abs(x).max() < most
        )


@pytest.mark.parametrize('frames, fps', [(1, 25), (5, 30), (48, 12.5), (300, 60)])
def test_every_length_and_rate_is_performed(frames, fps):
    p = Performance.sample(3, frames, fps)
    again = Performance.sample(3, frames, fps)
    assert len(p) == frames and p.fps == fps
    for name in ('actions', 'yaw', 'pitch', 'roll', 'shift', 'zoom', 'sway'):
        x = getattr(p, name)
        assert (
            len(x) == frames and np.isfinite(x).all() and np.array_equal(x, getattr(again, name))
        )
    assert p.actions.shape == (frames, 52) and p.actions.min() >= 0 and p.actions.max() <= 1
    assert not np.array_equal(p.yaw, Performance.sample(4, frames, fps).yaw)


@pytest.mark.parametrize('fps', [12.5, 25, 50])
def test_speed_does_not_depend_on_the_rate(fps):
    g = np.random.default_rng(0)
    x = [drift_noise(g, int(20 * fps), fps, 2.0, 0.1, 2.0) for _ in range(60)]
    speed = fps * np.diff(x, axis=1).std()
    assert 0.8 < np.std(x) < 1.1 and 1.5 < speed < 3.5


@pytest.mark.parametrize('talking', [0.3, 0.6, 0.95])
def test_who_talks_more_is_silent_less(talking):
    acted, loud = speech(np.random.default_rng(0), 5000, 25, NAMES, talking=talking)
    assert acted.shape == (5000, 52) and acted.min() >= 0
    silent = (loud < 0.05).mean()
    assert silent < 0.75 - 0.6 * talking and (talking > 0.9 or silent > 0.02)


@pytest.mark.parametrize('viseme', VISEMES)
def test_a_viseme_names_actions_that_there_are(viseme):
    bare = {n.removesuffix('Left').removesuffix('Right') for n in NAMES}
    assert set(VISEMES[viseme]) <= bare and all(0 < v < 1 for v in VISEMES[viseme].values())


@pytest.mark.parametrize('spread', [0.02, 0.09, 0.2])
def test_eyes_jump_and_come_back(spread):
    gaze = saccades(np.random.default_rng(0), 20_000, 50, spread)
    assert np.abs(np.median(gaze, axis=0)).max() < spread
    assert 0.3 * spread < gaze[:, 0].std() < 1.2 * spread + 0.01
