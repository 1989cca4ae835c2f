"""Single pictures: colours of HDR, orientations, pixels that are not square, another size."""

import struct
from fractions import Fraction

import numpy as np
import pytest

from threedad.picture import letterbox, orientation_of, resized, square_size, tone_map, upright

MATRICES = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)]
MATRICES += [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]


def packed(a, b, c, d, unit=65536):
    return struct.pack("=9i", unit * a, unit * b, 0, unit * c, unit * d, 0, 0, 0, 2**30)


@pytest.mark.parametrize("matrix", MATRICES)
def test_pixels_go_where_the_matrix_sends_them(matrix):
    a, b, c, d = matrix
    stored = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    shown = upright(stored, orientation_of(packed(*matrix)))
    h, w = shown.shape[:2]
    for q in range(5):
        for p in range(7):
            x, y = a * p + c * q, b * p + d * q
            x, y = x if x >= 0 and a + c > 0 else x + w - 1, y if b + d > 0 else y + h - 1
            assert (shown[y, x] == stored[q, p]).all()


@pytest.mark.parametrize("matrix", [None, b"", bytes(36), b"12345"])
def test_no_matrix_changes_nothing(matrix):
    assert orientation_of(matrix) == (0, False)


@pytest.mark.parametrize(
    "sar, size",
    {
        Fraction(64, 45): (1024, 576),
        Fraction(16, 15): (768, 576),
        Fraction(10, 11): (720, 634),
        Fraction(1): (720, 576),
        Fraction(1281, 1280): (720, 576),
        Fraction(0): (720, 576),
        Fraction(1000): (720, 576),
    }.items(),
)
def test_pixels_become_square(sar, size):
    assert square_size(720, 576, sar) == size
    if size != (720, 576):
        assert abs(size[0] / size[1] / (720 * sar / 576) - 1) < 3e-3
        assert size[0] % 2 == size[1] % 2 == 0


@pytest.mark.parametrize("size", [(64, 64), (200, 50), (50, 200), (40, 20)])
def test_a_letterbox_keeps_the_shape(size):
    image = np.full((30, 60, 3), 255, np.uint8)
    shown = letterbox(image, *size)
    rows, columns = (len(np.flatnonzero(shown.any((2, axis)))) for axis in (1, 0))
    assert shown.shape == (size[1], size[0], 3) and abs(columns - 2 * rows) <= 2
    assert columns == size[0] or rows == size[1]


def test_a_size_that_fits_is_left_alone():
    image = np.zeros((30, 60, 3), np.uint8)
    assert resized(image, 60, 30) is image and letterbox(image, 60, 30) is image


def pq(nits):
    y = (np.asarray(nits) / 1e4) ** (1305 / 8192)
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** (2523 / 32)


def hlg(nits):
    e = (np.asarray(nits) / 1000) ** (1 / 1.2)
    with np.errstate(invalid="ignore"):
        high = 0.17883277 * np.log(12 * e - 0.28466892) + 0.55991073
    return np.where(e <= 1 / 12, np.sqrt(3 * e), high)


@pytest.mark.parametrize("transfer, code", [("PQ", pq), ("HLG", hlg)])
@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("colour", [(200, 150, 120), (90, 90, 90), (120, 150, 200), (30, 60, 20)])
def test_ordinary_light_comes_back_as_it_was(transfer, code, wide, colour):
    v = np.array(colour) / 255
    light = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    if wide:
        rows = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
        light = np.array(rows) @ light
    stored = np.rint(65535 * code(203 * light)).astype(np.uint16)[None, None]
    assert np.abs(tone_map(stored, transfer, wide)[0, 0].astype(int) - colour).max() <= 2


@pytest.mark.parametrize("transfer", ["PQ", "HLG"])
def test_highlights_keep_their_order_and_hue(transfer):
    codes = np.linspace(0, 65535, 500).astype(np.uint16)
    grey = tone_map(np.repeat(codes[None, :, None], 3, 2), transfer)[0].astype(int)
    assert (np.diff(grey[:, 0]) >= 0).all() and (np.ptp(grey, axis=1) <= 1).all()
    assert grey[0, 0] == 0 and grey[-1, 0] == 255
