"""Re-enactments: a driver is matched by time, whatever its rate; the head keeps its place; the size is kept."""

import numpy as np
import pytest
from helpers.forgeries import difference, film

from threedad.compose import take_face
from threedad.core import UsageError
from threedad.morphable import MorphableModel
from threedad.reenactment import (
    driver_at,
    lip_sync,
    lips_area,
    lower_face_area,
    mouth_light,
    reenact,
    talking_head,
)

UNEVEN = np.sort(np.random.default_rng(0).uniform(0, 1.9, 70))
DRIVERS = {  # times at which the same two seconds were filmed
    '30 fps': np.arange(61) / 30,
    '12 fps': np.arange(25) / 12,
    '1000 fps': np.arange(2001) / 1000,
    '24, then 60 fps': np.r_[np.arange(24) / 24, 1 + np.arange(61) / 60],
    'uneven': np.r_[0, UNEVEN, 2],
    'from a clock at 500 s': 500 + np.arange(61) / 30,
}


@pytest.fixture(scope='module')
def model():
    return MorphableModel.load()


@pytest.fixture(scope='module')
def target():
    return film(1)


@pytest.fixture(scope='module')
def other():
    return film(2)


def played(times, row):
    """The same performance, a wave of the jaw and of the pitch, at any times."""
    since = times - times[0]
    table = row.iloc[[0] * len(times)].reset_index(drop=True)
    jaw = 0.5 - 0.5 * np.cos(np.pi * since)
    return table.assign(frame=range(len(times)), time=times, jawOpen=jaw, pitch=8 * jaw)


@pytest.mark.parametrize('name', DRIVERS)
def test_a_driver_is_matched_by_time(model, other, name):
    at = np.r_[np.arange(25) / 25, 1 + np.arange(10) / 50]
    shown = driver_at(played(DRIVERS[name], other[1]), 7 + at, model)
    jaw = shown.actions[:, model.action_names.index('jawOpen')]
    wanted = 0.5 - 0.5 * np.cos(np.pi * at)
    assert np.abs(jaw - wanted).max() < 0.02 and np.array_equal(shown.time, 7 + at)
    assert np.abs(np.degrees(shown.euler[:, 1]) - 8 * wanted).max() < 0.15


@pytest.mark.parametrize('name', ['30 fps', '12 fps', '24, then 60 fps'])
@pytest.mark.parametrize('make', [reenact, lip_sync])
def test_a_mouth_opens_when_the_drivers_did(target, other, name, make):
    frames, truth = target
    late = truth.assign(time=np.linspace(0, 2, len(truth)))
    driver = played(DRIVERS[name], other[1])
    table = make(late, take_face(frames, truth), driver, temporal=0.0).table
    wanted = 0.5 - 0.5 * np.cos(np.pi * late['time'])
    assert np.corrcoef(table['jawOpen'], wanted)[0, 1] > 0.99
    assert np.allclose(table['time'], late['time']) and list(table['frame']) == list(late['frame'])


def test_a_driver_that_ends_runs_back_and_forth(model, other):
    times = np.arange(31) / 30
    jaw = driver_at(played(times, other[1]), np.arange(91) / 30, model).actions
    jaw = jaw[:, model.action_names.index('jawOpen')]
    assert np.allclose(jaw[:31], jaw[60:29:-1], atol=1e-5) and np.allclose(jaw[60:91], jaw[:31])
    assert np.abs(np.diff(jaw)).max() < 0.06


@pytest.mark.parametrize('rows', [1, 2])
def test_a_driver_of_hardly_any_frames(model, other, rows):
    shown = driver_at(other[1].iloc[:rows], np.arange(5) / 25, model)
    assert len(shown) == 5 and np.isfinite(shown.actions).all()


def test_no_driver_at_all(model, other):
    with pytest.raises(UsageError, match='driver of a forgery has no coefficients'):
        driver_at(other[1].iloc[:0], np.arange(5) / 25, model)


def test_areas_lie_in_the_lower_face(model):
    face, lips = lower_face_area(model), lips_area(model)
    for area in (face, lips):
        assert area.min() == 0 and area.max() == 1
        assert not area[np.unique(model.faces[model.faces_of('ears', 'scalp', 'eye_left')])].any()
        assert (area[np.unique(model.faces[model.faces_of('tongue')])] == 1).all()
    assert 0 < (lips > 0.5).sum() < (face > 0.5).sum()


def test_an_open_mouth_lets_more_light_in(model):
    light = mouth_light(model, np.linspace(0, 1, 5))
    inside = np.unique(model.faces[model.faces_of('tongue')])
    levels = [float(light(row)[inside].max()) for row in range(5)]
    assert levels == sorted(levels) and levels[0] < levels[-1] < 1
    assert light(0)[np.unique(model.faces[model.faces_of('scalp')])].min() == 1


@pytest.mark.parametrize('h, w', [(128, 128), (127, 101), (90, 128)])
def test_a_talking_head_keeps_the_size_of_odd_frames(target, other, h, w):
    frames, truth = target
    frames = [frame[:h, :w] for frame in frames]
    plan = talking_head(frames[0], 0, truth, other[1])
    out, mask = plan(5, frames[5])
    assert out.shape == (h, w, 3) and mask.shape == (h, w)
    assert (out == frames[5])[mask == 0].all()
    with pytest.raises(UsageError, match='keeps the size of its still'):
        plan(5, frames[5][2:])


def test_a_talking_head_leaves_the_border_to_the_recording(target, other):
    frames, truth = target
    out, _ = talking_head(frames[3], 3, truth, other[1]).apply(frames)
    change = [difference(a, b) for a, b in zip(frames, out)]
    border = np.mean([np.r_[d[:4].ravel(), d[:, :4].ravel()].mean() for d in change])
    assert border < 0.3 * np.mean([d[32:96, 32:96].mean() for d in change])


def test_a_talking_head_needs_its_still(target, other):
    frames, truth = target
    with pytest.raises(UsageError, match='frame 3, the still of a talking head'):
        talking_head(frames[3], 3, truth.drop(index=3), other[1])
