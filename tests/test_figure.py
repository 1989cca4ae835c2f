"""Figures: one closed list of pieces, whatever is worn or held."""

from dataclasses import replace

import numpy as np
import pytest

from threedad.figure import figure_of
from threedad.people import HAIR_STYLES, Glasses, Person

ACTIONS = 52


def dressed(seed=5, style=None, glasses=None):
    p = Person.sample(seed)
    hair = replace(p.hair, style=style or p.hair.style)
    return replace(p, hair=hair, glasses=glasses)


@pytest.mark.parametrize('held', ['', 'microphone', 'hand'])
@pytest.mark.parametrize('style', HAIR_STYLES)
def test_a_figure_is_whole(style, held):
    f = figure_of(dressed(style=style), 64, held)
    n = len(f.base) + len(f.rigid) + len(f.body)
    assert len(f.uv) == len(f.join) == len(f.ambient) == n and len(f.material) == len(f.faces)
    assert f.faces.min() >= 0 and f.faces.max() < n
    assert 0 <= f.uv.min() and f.uv.max() <= 1 and f.texture.shape == (96, 64, 3)
    assert np.isfinite(f.ambient).all() and 0 < f.ambient.min() and f.ambient.max() <= 1.01
    assert (f.held.stop > f.held.start) == bool(held) and f.held.stop <= len(f.body)
    assert (len(f.rigid) > 0) == (style == 'long')


@pytest.mark.parametrize('thickness', [0.03, 0.07, 0.1])
def test_glasses_clear_the_face_and_reach_the_ears(thickness):
    bare = figure_of(dressed(), 64)
    worn = figure_of(dressed(glasses=Glasses(thickness, (0.4, 0.3, 0.1))), 64)
    rims = worn.rigid[len(bare.rigid) :]
    eyes = worn.model.landmarks(worn.base)[[33, 263]]
    assert len(rims) > 100 and np.array_equal(bare.base, worn.base)
    front = rims[rims[:, 2] > eyes[:, 2].min()]
    assert np.abs(front[:, 1].mean() - eyes[:, 1].mean()) < 0.3 and rims[:, 2].min() < -0.4


@pytest.mark.parametrize('held', ['microphone', 'hand'])
def test_hands_are_held_on_either_side(held):
    left, right = (figure_of(dressed(), 64, held, side) for side in (-1, 1))
    x = [f.body[f.held, 0].mean() for f in (left, right)]
    assert x[0] < 0 < x[1] and left.body[left.held, 2].max() > left.middle[2]


def test_actions_move_the_head_and_nothing_rigid():
    f = figure_of(dressed(style='long'), 64)
    jaw = np.zeros(ACTIONS)
    jaw[f.model.action_names.index('jawOpen')] = 1
    still, open_ = f.vertices(np.zeros(ACTIONS)), f.vertices(jaw)
    assert np.array_equal(still[: len(f.base)], f.base)
    assert np.array_equal(open_[len(f.base) :], f.rigid)
    assert np.abs(open_ - still).max() > 0.2
    shut, wide = f.ambient_at(0.0)[f.mouth], f.ambient_at(0.6)[f.mouth]
    assert (wide >= shut).all() and wide.mean() > shut.mean()


def test_the_same_person_has_the_same_figure():
    a, b = figure_of(Person.sample(7), 64), figure_of(Person.sample(7), 64)
    for name in ('base', 'rigid', 'body', 'faces', 'uv', 'texture', 'ambient', 'material'):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
