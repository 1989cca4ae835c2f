"""Reference attention: shapes, the definition of an affinity, and what is compared with what."""

import pytest
import torch

from threedad.core import UsageError
from threedad.fusion import SRAG, STAM, TRAG, Fusion, affinity, conv_bn, in_and_out


def maps(n, channels=16, side=3, seed=0):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('d, side', [(1, 1), (4, 3), (8, 5)])
def test_an_affinity_is_an_inner_product_of_cells(d, side):
    g, b = maps(2, d, side), maps(2, d, side, 1)
    found = affinity(g, b)
    for i, j in [(0, 0), (side**2 - 1, 0), (side, side**2 - 1)] if side > 1 else [(0, 0)]:
        a = g[:, :, i // side, i % side], b[:, :, j // side, j % side]
        assert torch.allclose(found[:, i, j], (a[0] * a[1]).sum(1), atol=1e-5)
    picture = in_and_out(found, found, g)
    n = side**2
    assert picture.shape == (2, 2 * n, side, side)
    assert torch.equal(picture[:, :n].flatten(2), found.mT)
    assert torch.equal(picture[:, n:].flatten(2), found)


@pytest.mark.parametrize('channels, cells', [(16, 9), (32, 9), (32, 25)])
def test_units_keep_the_shape_of_a_map(channels, cells):
    side = int(cells**0.5)
    x0, x1 = (maps(2, channels, side, k) for k in range(2))
    e0, e1 = (maps(2, channels // 8, side, k) for k in range(2))
    y = TRAG(channels, cells).eval()(x0, x1, e0, e1)
    assert y.shape == x0.shape
    assert SRAG(channels, cells).eval()(y, x0, x1, e0, e1).shape == x0.shape


@pytest.mark.parametrize('T', [4, 8, 16])
def test_a_level_halves_the_maps(T):
    x = torch.rand(2, 2 * T, 16, 3, 3)
    assert STAM(16, 9).eval()(x).shape == (2, T, 16, 3, 3)


@pytest.mark.parametrize('T', [4, 8, 12])
def test_three_verdicts_of_any_clip(T):
    net = Fusion(8, 12, side=2, channels=16).eval()
    logits = net(torch.rand(2, T, 8, 2, 2), torch.rand(2, T, 12, 3, 3))
    assert logits.shape == (2, 3, 2) and logits.isfinite().all()


@pytest.mark.parametrize('T', [0, 1, 3, 6])
def test_other_lengths_are_refused(T):
    with pytest.raises(UsageError, match='multiple of 4 frames'):
        Fusion(8, 12, side=2, channels=16).pyramid(torch.rand(1, T, 2, 16, 3, 3))


@pytest.mark.parametrize('channels', [7, 12, 20])
def test_channels_are_shared_by_eight(channels):
    with pytest.raises(UsageError, match='multiple of 8'):
        Fusion(channels=channels)


def test_a_clip_does_not_know_its_neighbours():
    net = Fusion(8, 12, side=2, channels=16).eval()
    a, c = torch.rand(3, 4, 8, 2, 2), torch.rand(3, 4, 12, 3, 3)
    assert torch.allclose(net(a, c)[1:2], net(a[1:2], c[1:2]), atol=1e-6)


def test_layers_in_a_row_keep_the_size():
    net = conv_bn(4, 6, 8, kernels=(3, 1))
    assert net(maps(2, 4, 5)).shape == (2, 8, 5, 5)
    assert [m.kernel_size for m in net if hasattr(m, 'kernel_size')] == [(3, 3), (1, 1)]
