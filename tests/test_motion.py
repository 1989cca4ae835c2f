"""Questions to tables of coefficients at their edges: short, gappy, uneven, constant."""

import warnings

import numpy as np
import pytest

from helpers.trajectories import made, talking
from threedad.core import UsageError
from threedad.motion import ACTION_COLUMNS, action_quality, column_label
from threedad.trajectory import Trajectory


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


def test_every_second_frame_is_not_a_gap():
    t = np.arange(0, 60, 2)
    assert (
        made(t / 30, frame=t, yaw=t / 30 * 10).velocity().yaw.dropna().round(6).eq(10).sum() == 28
    )


def test_variable_rate():
    t = np.cumsum(np.random.default_rng(0).choice([1 / 24, 1 / 60], 400))
    v = made(t, pitch=3 * t**2).velocity(['pitch'])
    np.testing.assert_allclose(v.pitch[1:-1], 6 * t[1:-1], rtol=1e-6)
    S = made(t, pitch=np.sin(2 * np.pi * 3 * t)).spectrum(['pitch'])
    assert abs(S.hz[S.pitch.argmax()] - 3) < 0.15
    with pytest.raises(UsageError, match='even times'):
        made(t).spectrum(method='welch')


def test_a_repeated_time_stamp_breaks_the_run():
    t = np.r_[0:10, 9:19] / 25
    v = made(t, frame=np.arange(20), yaw=t).velocity(['yaw'])
    assert np.isfinite(v.yaw[[5, 15]]).all() and v.yaw[[9, 10]].isna().all()


def test_a_wink_counts_half_and_a_lone_eye_in_full():
    t = np.arange(100) / 25
    lid = np.exp(-0.5 * ((t - 2) / 0.08) ** 2) * 0.35
    wink = made(t, eyeBlinkLeft=lid)
    assert (
        wink.blinks().empty
        and len(Trajectory(wink.table.drop(columns='eyeBlinkRight')).blinks()) == 1
    )


@pytest.mark.parametrize('fps', [24, 30, 1000, 12.5])
def test_speed_is_per_second_whatever_the_rate(fps):
    t = made(np.arange(90) / fps, yaw=20 * np.arange(90) / fps)
    speed = t.velocity(['yaw']).yaw
    assert np.allclose(speed.dropna(), 20) and speed.notna().sum() >= 80


@pytest.mark.parametrize(
    'call, says',
    [
        (lambda t: t.spectrum(['yaw'], method='fft'), "method is 'auto', 'welch' or 'lomb'"),
        (lambda t: t.resample(0), 'cannot resample at 0 fps'),
        (lambda t: t.velocity(['nose']), 'no column nose'),
        (lambda t: t.points(use='hair'), "use is 'actions' or 'expression'"),
        (lambda t: t.blinks(high=0.1, low=0.5), '0 < low <= high'),
    ],
)
def test_wrong_arguments_are_named(call, says):
    with pytest.raises(UsageError, match=says):
        call(talking())


def test_every_action_has_a_measured_quality():
    quality = action_quality()
    assert list(quality.index) == ACTION_COLUMNS
    measured = quality[["correlation", "within", "slope", "bias", "rmse", "noise_floor"]]
    assert measured.notna().all().all() and (quality.noise_floor < 0.05).all()
    marked = (quality.within < 0.4) | (quality.correlation < 0.2)
    assert (quality.unreliable == marked).all() and 0 < marked.sum() < 26


def test_the_quality_that_is_handed_out_is_a_copy():
    mine = action_quality()
    mine["unreliable"] = True
    assert not action_quality().unreliable.all()


@pytest.mark.parametrize("name", ACTION_COLUMNS)
def test_an_axis_says_which_action_is_unreliable(name):
    assert ("unreliable" in column_label(name)) == action_quality().unreliable[name]
