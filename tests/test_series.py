"""Series at uneven times, with gaps."""

import numpy as np
import pytest

from threedad.core import UsageError
from threedad.series import (
    consecutive,
    correlate,
    evenly_timed,
    local_polynomial,
    lomb_spectrum,
    place_on_grid,
    welch_spectrum,
)


@pytest.mark.parametrize(
    'frame, lengths',
    [([0, 1, 2], [3]), ([0, 2, 4, 8], [3, 1]), ([5], [1]), ([], []), ([0, 1, 5, 6], [2, 2])],
)
def test_runs_break_at_jumps(frame, lengths):
    frame = np.array(frame, int)
    assert [len(r) for r in consecutive(frame, frame / 25)] == lengths


@pytest.mark.parametrize('degree, order', [(2, 0), (2, 1), (3, 2), (4, 3)])
def test_a_polynomial_is_its_own_local_polynomial(degree, order):
    t = np.sort(np.random.default_rng(0).uniform(0, 3, 60))
    p = np.polynomial.Polynomial(np.arange(1, degree + 2))
    found = local_polynomial(t, p(t)[:, None], degree + 3, degree, order)
    np.testing.assert_allclose(
        found[:, 0], p.deriv(order)(t) if order else p(t), rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize('seed', range(3))
def test_a_spectrum_holds_the_variance(seed):
    g = np.random.default_rng(seed)
    even, uneven = np.arange(400) / 30, np.cumsum(g.uniform(0.02, 0.05, 400))
    x = g.normal(size=(400, 2))
    for f, S in (welch_spectrum(even, x, 20), lomb_spectrum(uneven, x)):
        assert S.shape == (len(f), 2) and (f > 0).all()
        np.testing.assert_allclose(S.sum(0) * (f[1] - f[0]), x.var(0), rtol=0.15)
    assert evenly_timed(np.arange(400), even) and not evenly_timed(np.arange(400), uneven)


@pytest.mark.parametrize('fill, bridged', [(0, 0), (0.25, 1), (1, 4)])
def test_gaps_are_bridged_up_to_a_length(fill, bridged):
    time = np.array([0, 0.1, 0.3, 0.7])
    p = place_on_grid(time, np.arange(8) / 10, 0.05, fill)
    assert p.filled.sum() == bridged and p.here.sum() == 4 and not (p.here & p.filled).any()


@pytest.mark.parametrize('method', ['pearson', 'spearman'])
def test_correlation_counts_samples_that_are_new(method):
    g = np.random.default_rng(0)
    white, walk = g.normal(size=(2, 300, 1)), np.cumsum(g.normal(size=(2, 300, 1)), 1)
    assert correlate(*white, method)[1] > 200 > 60 > correlate(*walk, method)[1]
    r, n, p = correlate(white[0], white[0], method)
    assert r == pytest.approx(1) and p < 1e-9
    assert np.isnan(correlate(white[0], np.ones((300, 1)), method)[0]).all()
    with pytest.raises(UsageError, match='method is'):
        correlate(*white, 'kendall')
