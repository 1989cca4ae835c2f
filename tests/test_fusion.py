"""The pyramid: what order it sees, what it refuses, and which names it shares with the checkpoints."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from threedad.core import UsageError
from threedad.fusion import SRAG, STAM, TRAG, Fusion, affinity, conv_bn, in_and_out

KEYS = json.loads((Path(__file__).parent / "golden" / "state_dict_keys.json").read_text())


def pyramid(seed=0):
    torch.manual_seed(seed)
    net = Fusion(24, 40, side=3, channels=32).eval()
    for head in net.classifier:
        nn.init.normal_(head.weight)
    return net


def maps(T, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(2, T, 24, 3, 3, generator=g), torch.rand(2, T, 40, 5, 5, generator=g)


def test_names_and_shapes_are_those_of_the_checkpoints():
    with torch.device("meta"):
        have = {k: list(v.shape) for k, v in Fusion().state_dict().items()}
    want = {k: v for k, v in KEYS["fusion"].items() if not k.startswith("base.")}
    assert have == want


@pytest.mark.parametrize("order", [[1, 0, 2, 3], [0, 1, 3, 2], [1, 0, 3, 2]], ids=str)
def test_order_within_a_pair_is_not_seen(order):
    net, (a, c) = pyramid(), maps(4)
    with torch.no_grad():
        assert torch.allclose(net(a[:, order], c[:, order]), net(a, c), atol=1e-5)


@pytest.mark.parametrize("order", [[2, 1, 0, 3], [0, 2, 1, 3], [3, 1, 2, 0]], ids=str)
def test_order_of_pairs_is_seen(order):
    net, (a, c) = pyramid(), maps(4)
    with torch.no_grad():
        assert (net(a[:, order], c[:, order]) - net(a, c)).abs().max() > 1e-4


@pytest.mark.parametrize("T", [1, 2, 3, 5, 6])
def test_clips_of_other_lengths_are_refused(T):
    with pytest.raises(UsageError, match="multiple of 4 frames"):
        pyramid()(*maps(T))


def test_no_frames_are_refused():
    with pytest.raises(UsageError, match="multiple of 4 frames"):
        pyramid().pyramid(torch.zeros(2, 0, 2, 32, 5, 5))


@pytest.mark.parametrize("channels", [4, 12, 1023])
def test_channels_that_cannot_be_divided(channels):
    with pytest.raises(UsageError, match="multiple of 8"):
        Fusion(channels=channels)


@pytest.mark.parametrize("T", [4, 8, 12])
def test_clips_do_not_see_each_other(T):
    net, (a, c) = pyramid(), maps(T)
    with torch.no_grad():
        alone = torch.cat([net(a[:1], c[:1]), net(a[1:], c[1:])])
        assert torch.allclose(net(a, c), alone, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3, 1e6])
def test_verdicts_are_finite_at_any_size_of_the_features(scale):
    net, (a, c) = pyramid().train(), maps(4)
    logits = net(a * scale, c * scale)
    logits.sum().backward()
    assert logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize("side", [(1, 1), (3, 4), (5, 5)])
def test_an_affinity_and_its_picture(side):
    """Rows of the one affinity and columns of the other, laid out over the cells."""
    g, b = torch.rand(2, 2, 6, *side)
    G, n = affinity(g, b), side[0] * side[1]
    cell = side[0] - 1, side[1] - 1
    assert torch.allclose(G[:, 0, -1], (g[..., 0, 0] * b[..., cell[0], cell[1]]).sum(1))
    picture = in_and_out(G, G, g)
    assert picture.shape == (2, 2 * n, *side)
    assert torch.equal(picture[:, :n].flatten(2), G.transpose(1, 2))
    assert torch.equal(picture[:, n:].flatten(2), G)


@pytest.mark.parametrize("cells", [1, 9, 25])
def test_a_level_merges_pairs(cells):
    side = int(cells**0.5)
    level, x = STAM(16, cells).eval(), torch.rand(2, 6, 16, side, side)
    with torch.no_grad():
        y = level(x)
        assert y.shape == (2, 3, 16, side, side)
        assert torch.allclose(level(x[:, 2:4])[:, 0], y[:, 1], atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_attention_weighs_and_does_not_turn_signs(seed):
    """Non-negative maps stay non-negative, and spatial attention only adds to temporal."""
    torch.manual_seed(seed)
    x0, x1 = torch.rand(2, 2, 16, 3, 3)
    e0, e1 = torch.rand(2, 2, 2, 3, 3)
    with torch.no_grad():
        y = TRAG(16, 9).eval()(x0, x1, e0, e1)
        z = SRAG(16, 9).eval()(y, x0, x1, e0, e1)
    assert (y >= 0).all() and (z >= y).all() and y.max() <= (x0 + x1).max() ** 2


@pytest.mark.parametrize("kernels", [None, (1, 3), (3, 5)])
def test_bricks_keep_the_side(kernels):
    brick = conv_bn(4, 6, 8, kernels=kernels).eval()
    assert brick(torch.rand(1, 4, 7, 5)).shape == (1, 8, 7, 5)
