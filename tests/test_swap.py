"""Swaps: same seed, same bytes; nothing outside the mask; what a forger does wrong over time has the sign it should."""

import numpy as np
import pytest
from helpers.forgeries import difference, digest, film

from threedad.compose import Finish, coefficients_of, take_face
from threedad.core import UsageError
from threedad.forge import driver_of
from threedad.morphable import MorphableModel
from threedad.people import Person
from threedad.performance import Performance
from threedad.swap import (
    Forgery,
    Style,
    autoencoder,
    face_area,
    face_swap,
    plan_of,
    self_blend,
    smooth_over_time,
    style_of,
    with_time_errors,
)

IDENTITY = [f'id_{k:02}' for k in range(40)]


@pytest.fixture(scope='module')
def target():
    return film(1)


@pytest.fixture(scope='module')
def face():
    return take_face(*film(2))


def test_frames_without_coefficients_stay_as_they_are(target, face):
    frames, truth = target
    out, masks = face_swap(truth.iloc[[2, 3]], face).apply(frames)
    assert [bool(m.any()) for m in masks] == [i in (2, 3) for i in range(len(frames))]
    assert digest(frames[4:]) == digest(out[4:])


def test_a_plan_says_what_it_is(target):
    def blank(row, frame):
        return np.zeros_like(frame), np.full(frame.shape[:2], row, np.uint8)

    plan = Forgery('blank', blank, target[1].iloc[5:8], dict(strength=0.51, blend='feather'))
    assert repr(plan) == 'blank of 3 frames: strength 0.51, blend feather'
    assert [int(m.max()) for m in plan.apply(target[0])[1]] == [0] * 5 + [0, 1, 2] + [0] * 4


def test_a_swap_moves_the_shape_towards_the_source(target, face):
    frames, truth = target
    own = truth[IDENTITY].mean().to_numpy()
    far = np.linalg.norm(own - face.identity)
    for make in (face_swap, autoencoder):
        left = [
            np.linalg.norm(make(truth, face, 0, s).table[IDENTITY].mean() - face.identity) / far
            for s in (0.0, 0.5, 1.0)
        ]
        assert 1 > left[0] > left[1] > left[2] > 0.1


def test_an_autoencoder_shows_one_identity_and_a_swap_flickers(target, face):
    spread = {
        make.__name__: make(target[1], face).table[IDENTITY].std().max()
        for make in (face_swap, autoencoder)
    }
    assert spread['autoencoder'] < 1e-6 < 0.01 < spread['face_swap']


def test_self_blending_flickers_only_if_redrawn(target):
    frames, truth = target
    still = [frames[0]] * len(frames)
    same = truth.iloc[[0] * len(frames)].assign(frame=range(len(frames)))

    def change(temporal):
        out = self_blend(same, 3, 0.8, temporal).apply(still)[0]
        return np.mean([difference(a, b).mean() for a, b in zip(out, out[1:])])

    assert change(0.0) == 0 < change(0.5) < change(1.0)


@pytest.mark.parametrize('temporal', [-1.0, -0.3, 0.0, 0.3, 1.0])
def test_errors_over_time_have_the_sign_of_temporal(temporal):
    table = driver_of(Person.sample(1), Performance.sample(2, 100))
    shown = coefficients_of(table, MorphableModel.load())
    made = with_time_errors(shown, temporal, np.random.default_rng(0))

    def jerk(values):
        return np.abs(np.diff(values, 3, axis=0)).mean()

    for name in ('euler', 't', 'actions'):
        change = jerk(getattr(made, name)) - jerk(getattr(shown, name))
        assert np.sign(change if temporal else round(change, 6)) == np.sign(temporal), name
    assert made.actions.min() >= 0 and made.actions.max() <= 1
    assert np.array_equal(made.time, shown.time)


def test_smoothing_stops_at_a_gap_and_keeps_what_is_constant():
    frame = np.r_[0:10, 20:30]
    step = np.r_[np.zeros(10), np.ones(10)][:, None] * [1.0, 2.0]
    assert np.allclose(smooth_over_time(step, 2.0, frame), step, atol=1e-12)
    assert 0 < smooth_over_time(step, 2.0, np.arange(20))[9, 0] < 1
    assert np.array_equal(smooth_over_time(step, 0.2, np.arange(20)), step)
    assert smooth_over_time(step[:0], 2.0, frame[:0]).shape == (0, 2)


def test_a_face_area_leaves_mouth_hair_and_ears():
    model = MorphableModel.load()
    area = face_area(model)
    outside = np.unique(model.faces[model.faces_of('ears', 'scalp', 'tongue', 'teeth_upper')])
    assert not area[outside].any() and area.min() == 0
    assert np.isclose(area.max(), 1)


@pytest.mark.parametrize(
    'wrong, says',
    [
        (dict(strength=1.2), 'strength goes from 0 to 1'),
        (dict(strength='much'), "not 'much'"),
        (dict(strength=0.5, temporal=-2), 'temporal goes from -1 to 1'),
    ],
)
def test_a_style_is_checked(wrong, says):
    with pytest.raises(UsageError, match=says):
        style_of(Style, **wrong)


def test_a_style_is_the_usual_one_unless_set_otherwise():
    finish = Finish('poisson')
    assert style_of(Style, 0.3) == Style(0.3)
    assert style_of(Style, 0.3, -0.5, finish) == Style(0.3, -0.5, finish)


def test_a_plan_needs_frames_that_show_a_face(target):
    with pytest.raises(UsageError, match='no frame shows a face'):
        plan_of(target[1].iloc[:0], 0, None)
    a, b = plan_of(target[1], 5, None), plan_of(target[1], np.random.default_rng(5), None)
    assert a.noise == b.noise and a.frame_rng(3).random() == b.frame_rng(3).random()
    assert a.frame_rng(3).random() != a.frame_rng(4).random()
