"""Which settings of a detector can be."""

import math

import numpy as np
import pytest

from threedad.core import UsageError
from threedad.presets import PRESETS, DetectorConfig, bounded, detector_config

NUMBERS = [
    "analysis_size",
    "texture_size",
    "channels",
    "frames",
    "texture_scale",
    "analysis_width",
]
BAD = [-1, 0, 10**9, 10**400, -(10**400), math.nan, math.inf, -math.inf, None, "4", True, [4], {}]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", BAD, ids=lambda v: repr(v)[:12])
def test_numbers_that_cannot_be(name, value):
    with pytest.raises(UsageError, match=name) as e:
        detector_config(**{name: value})
    assert "\n" not in str(e.value) and len(str(e.value)) < 200


@pytest.mark.parametrize("name", ["texture_layers", "texture_planes", "texture_stem"])
@pytest.mark.parametrize(
    "value", [(), (1,), (1,) * 9, (0, 0, 0, 0), 4, "1111", (10**9,) * 4, None]
)
def test_lists_that_cannot_be(name, value):
    with pytest.raises(UsageError, match=name):
        detector_config(**{name: value})


@pytest.mark.parametrize(
    "settings, cause",
    [
        (dict(frames=6), "multiple of 4"),
        (dict(channels=100), "multiple of 8"),
        (dict(texture_size=224), "do not meet"),
        (dict(analysis_size=200), "do not meet"),
        (dict(compat="other"), "compat"),
        (dict(highpass=1), "highpass"),
        (dict(name="x" * 1000), "name"),
        (dict(name=3), "name"),
    ],
    ids=str,
)
def test_settings_that_do_not_go_together(settings, cause):
    with pytest.raises(UsageError, match=cause):
        detector_config("tiny", **settings)


@pytest.mark.parametrize("name", ["depth", "preset", "self", "__class__", "x" * 1000])
def test_settings_that_there_are_not(name):
    with pytest.raises(UsageError, match="no setting") as e:
        detector_config(DetectorConfig(), **{name: 1})
    assert len(str(e.value)) < 200


@pytest.mark.parametrize("preset", ["huge", "", None, 3, {}, b"tiny"], ids=repr)
def test_presets_that_there_are_not(preset):
    with pytest.raises(UsageError, match="preset"):
        detector_config(preset)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_fixed_points(preset):
    assert detector_config(preset) == PRESETS[preset] == detector_config(PRESETS[preset])
    with pytest.raises(AttributeError):
        PRESETS[preset].frames = 8


@pytest.mark.parametrize(
    "value", [np.int64(128), 128, np.uint8(128)], ids=lambda v: type(v).__name__
)
def test_numbers_become_pythons_own(value):
    c = detector_config("tiny", channels=value, texture_stem=[8, value, 16])
    assert type(c.channels) is int and c.texture_stem == (8, 128, 16)


@pytest.mark.parametrize("value, low, high", [(0, 0, 1), (1, 0, 1), (0.5, 0.25, 0.5)])
def test_bounds_belong_to_what_is_allowed(value, low, high):
    assert bounded("x", value, low, high, whole=False) == value
