"""Sizes of detectors: every number has a type and bounds, and what does not fit together is said."""

import math

import pytest

from threedad.core import UsageError
from threedad.presets import PRESETS, DetectorConfig, bounded, detector_config

HOSTILE = [
    (dict(frames=0), 'frames'),
    (dict(frames=6), 'multiple of 4'),
    (dict(frames=-4), 'frames'),
    (dict(frames=10**9), 'frames'),
    (dict(frames=True), 'frames'),
    (dict(frames='4'), 'frames'),
    (dict(channels=10**12), 'channels'),
    (dict(channels=9), 'multiple of 8'),
    (dict(channels=math.inf), 'channels'),
    (dict(analysis_width=math.nan), 'analysis_width'),
    (dict(analysis_width=1e9), 'analysis_width'),
    (dict(analysis_size=10**6), 'analysis_size'),
    (dict(texture_size=225), 'do not meet'),
    (dict(texture_layers=(1, 1, 1)), 'must be 4 numbers'),
    (dict(texture_layers=(1, 1, 1, 10**9)), 'texture_layers'),
    (dict(texture_planes='abcd'), 'must be 4 numbers'),
    (dict(texture_stem=(8, 8, None)), 'texture_stem'),
    (dict(texture_scale=1), 'texture_scale'),
    (dict(highpass=1), 'True or False'),
    (dict(compat='x'), 'compat'),
    (dict(name='x' * 1000), 'short text'),
    (dict(size=3), 'no setting'),
]


@pytest.mark.parametrize('settings, cause', HOSTILE)
def test_what_cannot_be_is_one_short_line(settings, cause):
    with pytest.raises(UsageError, match=cause) as e:
        detector_config('tiny', **settings)
    assert len(str(e.value)) < 250 and '\n' not in str(e.value)


@pytest.mark.parametrize('preset', ['huge', '', 3, None])
def test_what_is_no_preset_is_told_so(preset):
    with pytest.raises(UsageError, match='preset'):
        detector_config(preset)


@pytest.mark.parametrize('name', PRESETS)
def test_presets_are_what_they_are_called(name):
    c = detector_config(name)
    assert c is not None and c.name == name and c == detector_config(c)
    assert detector_config(c, frames=8).frames == 8 and c.frames == 4


def test_settings_come_out_as_their_own_types():
    c = DetectorConfig(texture_layers=[3, 4, 6, 3], analysis_width=1)
    assert c.texture_layers == (3, 4, 6, 3) and isinstance(c.analysis_width, float)
    assert bounded('n', 3, 1, 3) == 3 and bounded('x', 3, 1, 3, whole=False) == 3.0
