"""The projection made linear: derivatives that foretell, eliminations that change nothing, turned heads."""

import dataclasses

import numpy as np
import pytest

from threedad.core import UsageError, rng
from threedad.morphable import MorphableModel, euler_to_matrix, matrix_to_euler
from threedad.projection import (
    FrameState,
    Prior,
    angle_errors,
    deformed,
    eliminated,
    first_pose,
    landmark_head,
    linearise,
    misfit,
    normal_equations,
    person_step,
    point_weights,
    products,
    turned,
)

HEAD = landmark_head(MorphableModel.load())
NOBODY = np.zeros(40)


def some_state(seed, frames=5):
    """Poses anywhere and random actions."""
    g = rng(seed)
    R = euler_to_matrix(
        g.uniform(-1, 1, frames), g.uniform(-0.7, 0.7, frames), g.uniform(-3, 3, frames)
    )
    actions = g.uniform(0, 0.5, (frames, 52)) * (g.random((frames, 52)) < 0.2)
    return FrameState(g.uniform(30, 300, frames), R, g.uniform(0, 900, (frames, 2)), actions)


def seen_in(state, a=NOBODY):
    """Where landmarks are in a state, T x 2 x L."""
    nothing = np.zeros((len(state.scale), 2, HEAD.mean.shape[0]), np.float32)
    return -misfit(HEAD, nothing, a, state).astype(np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_the_derivatives_foretell_a_small_step(seed):
    state, g = some_state(seed), rng(seed)
    x = seen_in(state) + g.normal(0, 0.02, (5, 2, 1)) * state.scale[:, None, None]
    lin = linearise(HEAD, x.astype(np.float32), NOBODY, state, 0.02)
    step = g.normal(size=(5, 58)) * [0.05, 0.05, *[1e-3] * 4, *[0.01] * 52]
    told = np.einsum("tdlp,tp->tdl", lin.Jr[..., :-1], step) / lin.root[:, None]
    change = misfit(HEAD, x, NOBODY, state) - misfit(HEAD, x, NOBODY, state.moved(step))
    assert ((change - told) ** 2).sum() < 0.005 * (change**2).sum()


@pytest.mark.parametrize("n", [1, 6, 20, 57])
def test_what_is_eliminated_follows_to_the_same_solution(n):
    state = some_state(1)
    x = seen_in(state) + rng(0).normal(0, 2, (5, 2, 386)).astype(np.float32)
    eq = normal_equations(
        linearise(HEAD, x, NOBODY, state, 0.02), state.deformation, Prior.unit(52)
    )
    H, g, follow = eliminated(eq, n)
    rest = np.linalg.solve(H, g[..., None])[..., 0]
    first = follow[..., -1] - (follow[..., :-1] @ rest[..., None])[..., 0]
    whole = np.linalg.solve(eq.H, eq.g[..., None])[..., 0]
    np.testing.assert_allclose(np.c_[first, rest], whole, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_first_pose_of_a_rigid_head_is_exact(seed):
    state = deformed(some_state(seed), np.zeros(52))
    found = first_pose(HEAD.mean, seen_in(state))
    np.testing.assert_allclose(found.rotation, state.rotation, atol=2e-3)
    np.testing.assert_allclose(found.scale, state.scale, rtol=2e-3)


def test_a_prior_alone_gives_its_mean():
    state = deformed(some_state(2), np.full(52, 0.3))
    mean, precision = rng(0).uniform(0, 1, 52), np.diag(rng(1).uniform(1, 9, 52))
    lin = linearise(HEAD, seen_in(state), NOBODY, state, 1e6)
    eq = normal_equations(lin, state.deformation, Prior(precision, precision @ mean))
    step = np.linalg.solve(eq.H[:, 6:, 6:], eq.g[:, 6:, None])[..., 0]
    np.testing.assert_allclose(0.3 + step, np.tile(mean, (5, 1)), atol=1e-6)


def test_a_pull_that_follows_the_person_moves_frames_along():
    follow = np.zeros((52, 40))
    follow[3, 7] = 2.0
    state = some_state(3)
    lin = linearise(HEAD, seen_in(state), NOBODY, state, 0.02)
    free, tied = (
        normal_equations(lin, state.deformation, Prior(np.eye(52), np.zeros(52), f))
        for f in (None, follow)
    )
    np.testing.assert_allclose((free.C - tied.C)[:, 9, 7], 2, atol=1e-9)
    assert np.count_nonzero((free.C - tied.C)[0]) == 1


@pytest.mark.parametrize("batch", [1, 2, 3, 99])
def test_a_step_for_a_person_is_the_same_in_any_batches(batch):
    state, a = some_state(4), rng(5).normal(size=40)
    x = seen_in(state, a)
    one, S, _ = person_step(HEAD, x, NOBODY, state, Prior.unit(40), 0.02, batch=5)
    other, T, _ = person_step(HEAD, x, NOBODY, state, Prior.unit(40), 0.02, batch=batch)
    np.testing.assert_allclose(one, other, atol=1e-4)
    np.testing.assert_allclose(S, T, rtol=1e-4, atol=1e-2)


def test_products_are_sums_over_axes_and_landmarks():
    A, B = (rng(i).normal(size=(3, 2, 7, n)).astype(np.float32) for i, n in ((0, 4), (1, 5)))
    np.testing.assert_allclose(products(A, B), np.einsum("tdlm,tdln->tmn", A, B), atol=1e-5)


@pytest.mark.parametrize("angles", [(0, 0, 0), (40, 10, -120), (-75, 20, 170)])
def test_errors_of_angles_are_the_spread_of_turned_heads(angles):
    R, turn = euler_to_matrix(*np.radians(angles)), np.diag([4.0, 1.0, 2.0]) * 1e-6
    w = rng(0).multivariate_normal(np.zeros(3), turn, 6000)
    moved = np.degrees(matrix_to_euler(turned(np.repeat(R[None], 6000, 0), w)))
    spread = ((moved - np.array(angles)[:, None] + 180) % 360 - 180).std(1)
    np.testing.assert_allclose(angle_errors(R[None], turn[None])[0], spread, rtol=0.06)


def test_a_landmark_that_faces_away_or_misfits_counts_less():
    one = np.ones((1, 1))
    facing = [
        point_weights(np.cos(np.radians(d)) * one, 0 * one, np.ones(1))[0, 0]
        for d in (0, 80, 120, 180)
    ]
    off = [point_weights(one, d * one, np.ones(1))[0, 0] for d in (0, 2, 4, 40)]
    assert facing == sorted(facing, reverse=True) and facing[0] == 1 and facing[-1] > 0
    assert off == sorted(off, reverse=True) and off[1] == 1 and off[-1] == 2 / 40


def test_a_model_without_landmarks_has_no_landmark_head():
    model = dataclasses.replace(MorphableModel.load(), landmark_ok=np.zeros(478, bool))
    with pytest.raises(UsageError, match="no place for the landmarks"):
        landmark_head(model)
