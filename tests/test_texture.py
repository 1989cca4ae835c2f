"""The Texture Perception Unit: shapes, what may not be, and how a fresh one begins."""

import pytest
import torch

from threedad.core import UsageError
from threedad.texture import Bottle2neck, Res2Net, map_side, zero_branches

THIN = dict(layers=(1, 1, 2, 1), planes=(8, 8, 16, 16), stem=(8, 8, 8))


@pytest.mark.parametrize('size, inputs', [(64, 3), (72, 6), (136, 3)])
def test_maps_and_verdicts_have_their_shapes(size, inputs):
    net, x = Res2Net(**THIN, inputs=inputs).eval(), torch.rand(2, inputs, size, size)
    maps, logits = net(x)
    assert maps.shape == (2, net.channels, map_side(size), map_side(size))
    assert logits.shape == (2, 2) and torch.equal(net.features(x), maps)


@pytest.mark.parametrize('size', [32, 33, 72, 136, 224, 225])
def test_the_side_of_a_map_is_what_the_network_makes(size):
    net = Res2Net((1, 1, 1, 1), planes=(8, 8, 8, 8), stem=(8, 8, 8)).eval()
    assert net.features(torch.rand(1, 3, size, size)).shape[-1] == map_side(size)


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_a_fresh_block_is_its_shortcut(scale):
    block = Bottle2neck(32, 8, 1, False, scale=scale).train()
    zero_branches(torch.nn.Sequential(block))
    x = torch.randn(3, 32, 7, 7)
    assert torch.equal(block(x), x.relu())


@pytest.mark.parametrize(
    'settings',
    [dict(layers=(1, 1, 1)), dict(planes=(8,)), dict(stem=(8, 8)), dict(scale=1)]
    + [dict(planes=(1, 1, 1, 1), base_width=1)],
)
def test_what_cannot_be_is_said(settings):
    with pytest.raises(UsageError, match='Res2Net'):
        Res2Net(**THIN | settings)


@pytest.mark.parametrize('depth', [1, 3, 9])
def test_depth_does_not_make_features_explode(depth):
    torch.manual_seed(0)
    net = Res2Net((depth,) * 4, planes=(8, 8, 16, 16), stem=(8, 8, 8)).train()
    assert 1e-3 < net.features(torch.randn(4, 3, 64, 64)).std() < 30
