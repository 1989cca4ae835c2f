"""Times: the usual step, and clocks that jump, stand still or say nothing."""

import numpy as np
import pytest

from threedad.clock import Clock, usual_step


@pytest.mark.parametrize("rate", [10, 24, 25, 30000 / 1001, 30, 50, 60])
@pytest.mark.parametrize("tick", [1e-3, 1 / 90000, 1 / 12800])
def test_the_rate_is_found_whatever_the_tick(rate, tick):
    times = np.round(np.arange(200) / rate / tick) * tick
    assert 1 / usual_step(times) == pytest.approx(rate, rel=2e-3)


def test_pauses_do_not_move_the_rate():
    steps = np.where(np.arange(99) % 10 == 9, 3.0, 0.04)
    assert 1 / usual_step(np.cumsum(steps)) == pytest.approx(25)


@pytest.mark.parametrize("times", [[], [3.0]])
def test_no_step_without_two_frames(times):
    assert usual_step(times) is None


EVEN = np.arange(50) * 0.04


@pytest.mark.parametrize(
    "jump", [-EVEN[20], -EVEN[20] - 1, -(2**33) / 90000, 2**32 / 90000, 3600, 11]
)
def test_a_jump_is_taken_out(jump):
    clock = Clock(longest=10)
    stamps = EVEN + 100 + np.where(np.arange(50) < 20, 0, jump)
    np.testing.assert_allclose([clock(s) for s in stamps], EVEN, atol=1e-6)
    assert len(clock.jumps) == 1


@pytest.mark.parametrize("pause", [0.5, 5, 9.9])
def test_a_pause_is_kept(pause):
    clock = Clock(longest=10)
    stamps = EVEN + np.where(np.arange(50) < 20, 0, pause)
    np.testing.assert_allclose([clock(s) for s in stamps], stamps, atol=1e-9)
    assert not clock.jumps


@pytest.mark.parametrize("odd", [EVEN[19], EVEN[19] - 0.03, None])
def test_one_odd_stamp_moves_no_other(odd):
    clock, stamps = Clock(), list(EVEN)
    stamps[20] = odd
    times = [clock(s) for s in stamps]
    np.testing.assert_allclose(np.delete(times, 20), np.delete(EVEN, 20), atol=1e-9)
    assert (np.diff(times) > 0.01).all() and not clock.jumps


def test_frames_without_stamps_follow_the_guess():
    clock = Clock(guess=0.1)
    np.testing.assert_allclose([clock(None) for _ in range(4)], [0, 0.1, 0.2, 0.3])
