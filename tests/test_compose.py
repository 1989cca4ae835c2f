"""A face comes out of frames and goes into others, and nothing changes outside the mask."""

import cv2
import numpy as np
import pytest
from helpers.forgeries import film

from threedad.compose import (
    BLENDS,
    Finish,
    Window,
    check_number,
    coefficients_of,
    draw_face,
    evenly_spaced,
    fast_blur,
    head_points,
    paste,
    shown_table,
    take_face,
    vertices_of,
    window_around,
)
from threedad.core import UsageError
from threedad.morphable import MorphableModel
from threedad.render import to_linear
from threedad.tracking import Track

RAW = Finish('feather', 0.03, 0.0, 0.0, 0.0)


@pytest.fixture(scope='module')
def model():
    return MorphableModel.load()


@pytest.fixture(scope='module')
def person():
    return film(1)


def test_a_table_is_read_and_written_back(person, model):
    frames, truth = person
    again = shown_table(coefficients_of(truth.iloc[3:7], model), model)
    names = ['frame', 'time', 'yaw', 'scale', 'tx', 'ty', 'id_00', 'id_39', 'jawOpen', 'x0', 'y1']
    assert np.allclose(again[names], truth[names].iloc[3:7], atol=1e-3)


@pytest.mark.parametrize('wrong', ['x.mp4', None, 3, [1, 2]])
def test_what_is_no_trajectory_is_refused_in_words(wrong, model):
    with pytest.raises(UsageError, match=rf'not a {type(wrong).__name__}: fit\(track'):
        coefficients_of(wrong, model)


def test_a_track_is_no_trajectory(model):
    points = np.zeros((2, 478, 3), np.float32)
    track = Track('x.mp4', 25.0, 9, 9, np.arange(2), np.arange(2) / 25, points, np.ones(2))
    with pytest.raises(UsageError, match='not a Track'):
        take_face([], track, model=model)


@pytest.mark.parametrize('column', ['time', 'yaw', 'id_39', 'jawOpen'])
def test_a_missing_column_is_named(person, model, column):
    with pytest.raises(UsageError, match=f'no column {column}'):
        coefficients_of(person[1].drop(columns=column), model)


def test_the_head_is_in_the_box_of_the_truth(person, model):
    frames, truth = person
    shown = coefficients_of(truth, model)
    for row in (0, 5, 11):
        lips = head_points(shown, row, model)[vertices_of(model, 'lips'), :2]
        box = truth.iloc[row][['x0', 'y0', 'x1', 'y1']].to_numpy(float)
        assert (lips > box[:2]).all() and (lips < box[2:]).all()


def test_a_face_comes_out_of_a_list_or_of_some_frames_by_number(person):
    frames, truth = person
    rows = evenly_spaced(len(truth), 4)
    whole = take_face(frames, truth, 4)
    some = take_face({int(i): frames[i] for i in rows}, truth.iloc[rows], 4)
    assert np.array_equal(whole.texture, some.texture) and whole.texture.dtype == np.uint8
    assert whole.identity.shape == (40,) and whole.seen.shape == whole.texture.shape[:2]
    with pytest.raises(UsageError, match='trajectory is empty'):
        take_face(frames, truth.iloc[:0])


@pytest.mark.parametrize('n, count', [(1, 8), (3, 8), (48, 8), (9, 1)])
def test_frames_are_spread_from_the_first_to_the_last(n, count):
    spread = evenly_spaced(n, count)
    assert len(spread) == min(n, count) and spread[0] == 0
    assert count == 1 or spread[-1] == n - 1
    assert (np.diff(spread) > 0).all()


@pytest.mark.parametrize('sigma', [3.0, 9.0, 25.0])
def test_a_blur_at_a_quarter_of_the_size_is_as_good(sigma):
    picture = np.zeros((160, 200), np.float32)
    picture[60:100, 80:120] = 255
    assert np.abs(fast_blur(picture, sigma) - cv2.GaussianBlur(picture, (0, 0), sigma)).max() < 5


@pytest.mark.parametrize('blend', BLENDS)
def test_a_blend_changes_nothing_outside_its_mask(person, model, blend):
    frames, truth = person
    face, points = take_face(frames, truth), head_points(coefficients_of(truth, model), 2, model)
    weights = np.zeros(len(model.mean), np.float32)
    weights[vertices_of(model, 'lips', 'face')] = 1
    finish, rng = Finish(blend, 0.03, 0.0, 0.0, 0.0), np.random.default_rng(0)
    texture = to_linear(face.texture // 2)
    out, mask = draw_face(frames[2], points, texture, weights, model, finish, rng)
    assert (out == frames[2])[mask == 0].all() and (out != frames[2])[mask > 200].mean() > 0.5


def test_poisson_hides_a_difference_of_brightness():
    behind = np.full((96, 96, 3), 120.0, np.float32)
    behind += np.random.default_rng(0).normal(0, 2, behind.shape).astype(np.float32)
    alpha = np.zeros((96, 96), np.float32)
    cv2.circle(alpha, (48, 48), 28, 1.0, -1)
    stripes = 10 * np.sin(np.arange(96) / 2)[:, None, None]
    drawn = np.float32(behind + 40 + stripes)
    made = {name: blend(drawn, behind, alpha)[40:56, 40:56] for name, blend in BLENDS.items()}
    level = stripes[40:56].mean()
    left = {name: abs(float(part.mean() - 120 - level)) for name, part in made.items()}
    assert left['feather'] > 35 and left['poisson'] < 10
    assert left['multiband'] <= left['feather'] + 1
    assert all(part.mean((1, 2)).std() > 5 for part in made.values())


@pytest.mark.parametrize('shift', [(500, 0), (-500, 0), (0, 500), (np.nan, 0)])
def test_a_face_outside_the_picture_changes_nothing(person, model, shift):
    frames, truth = person
    points = head_points(coefficients_of(truth, model), 0, model) + np.float32([*shift, 0])
    texture, weights = np.ones((64, 64, 3), np.float32), np.ones(len(model.mean), np.float32)
    rng = np.random.default_rng(0)
    out, mask = draw_face(frames[0], points, texture, weights, model, RAW, rng)
    assert np.array_equal(out, frames[0]) and not mask.any() and out is not frames[0]


def test_a_window_is_what_lies_in_the_picture():
    points = np.array([[-5.0, 10.0], [30.0, 70.0]])
    window = window_around(points, (64, 80, 3), 4)
    assert window == Window(0, 6, 34, 58) and not window.too_small
    assert window.cut(np.zeros((64, 80, 3))).shape == (58, 34, 3)
    assert window_around(points + 200, (64, 80, 3), 4).too_small


def test_a_drawing_that_is_the_frame_leaves_it_alone(person):
    frame, alpha = person[0][0], np.ones((40, 40), np.float32)
    window = Window(30, 30, 40, 40)
    out, _ = paste(frame, window, window.cut(frame), alpha, RAW, 60.0, np.random.default_rng(0))
    assert np.array_equal(out, frame)


def test_careless_work_is_finished_less():
    care = [Finish.of(s) for s in (0.0, 0.5, 1.0)]
    for name in ('feather', 'color', 'light', 'grain'):
        values = [getattr(finish, name) for finish in care]
        assert values == sorted(values, reverse=True) and values[0] > values[-1]
    assert Finish.of(0.0, grain=None, color=0.1) == Finish('multiband', 0.05, 0.1, 1.0, 1.0)


@pytest.mark.parametrize('value', ['much', None, [1], 1.5, -0.1, float('nan')])
def test_a_number_out_of_range_is_named(value):
    with pytest.raises(UsageError, match='strength'):
        check_number('strength', value, 0, 1)
    assert check_number('strength', '0.5', 0, 1) == 0.5
