"""People who do not exist: the same for the same seed, in the shares they should come in."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from threedad.people import (
    HAIR_STYLES,
    Glasses,
    Person,
    above_hairline,
    skin_color,
    smoothstep,
    tileable_noise,
)


def test_people_come_in_the_shares_they_should():
    people = [Person.sample(s) for s in range(1000)]
    assert 0.12 <= np.mean([p.glasses is not None for p in people]) <= 0.18
    assert {p.hair.style for p in people} == set(HAIR_STYLES)
    assert 0.35 <= np.mean([p.hair.beard > 0 for p in people]) * 2 <= 0.75
    assert np.std([p.identity for p in people]) == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize('size', [64, 256])
def test_the_same_seed_paints_the_same_bytes(size):
    a, b, c = (Person.sample(s).texture(size) for s in (3, 3, 4))
    assert a.shape == (size * 3 // 2, size, 3) and a.dtype == np.uint8
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_a_person_cannot_be_changed_but_replaced():
    p = Person.sample(1)
    with pytest.raises(FrozenInstanceError):
        p.seed = 2
    changed = replace(p, skin=replace(p.skin, melanin=1.0), glasses=Glasses(0.05, (0, 0, 0)))
    assert (
        changed.texture(128).mean()
        < 0.8 * replace(p, skin=replace(p.skin, melanin=0.05)).texture(128).mean()
    )


@pytest.mark.parametrize('style', HAIR_STYLES)
def test_every_style_changes_the_head(style):
    p, other = Person.sample(5), 'bald' if style != 'bald' else 'full'
    a, b = (replace(p, hair=replace(p.hair, style=s)).texture(128) for s in (style, other))
    changed = (a[:128] != b[:128]).any(-1).mean()
    assert 0.02 < changed < 0.9


@pytest.mark.parametrize('low, high', [(0, 1), (1, 0), (-2, 5)])
def test_a_smooth_step_goes_from_0_to_1(low, high):
    x = np.linspace(low, high, 101)
    y = smoothstep(x, low, high)
    assert y[0] == 0 and y[-1] == 1 and y[50] == pytest.approx(0.5) and (np.diff(y) >= 0).all()
    assert smoothstep(np.array([2 * low - high, 2 * high - low]), low, high).tolist() == [0, 1]


@pytest.mark.parametrize('beta', [0, 1, 2])
def test_a_tile_has_no_seam(beta):
    tile = tileable_noise(np.random.default_rng(0), 128, beta, 2)
    seam, inside = np.abs(tile[:, 0] - tile[:, -1]).mean(), np.abs(np.diff(tile, axis=1)).mean()
    assert (
        seam < 1.5 * inside
        and abs(tile.mean()) < 1e-3
        and tile.std() == pytest.approx(1, abs=1e-3)
    )


def test_more_dye_is_darker_and_blood_is_red():
    tones = skin_color(np.linspace(0, 1, 5), 0.2)
    assert (np.diff(tones, axis=0) < 0).all()
    pale, flushed = skin_color(0.1, [0.1, 0.9])
    assert flushed[0] / flushed[1] > pale[0] / pale[1]


def test_the_hairline_divides_the_head():
    at = np.array([[0, 2, 0.2], [0, 0, 0.4], [0, 1, -1.5]])
    top, face, back = above_hairline(at)
    assert top > 0 > face and back > 0
    assert (above_hairline(at, 0.2) <= above_hairline(at)).all()
