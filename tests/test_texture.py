"""The network that reads pixels: shapes, sizes that cannot be, and a start that keeps numbers small."""

import pytest
import torch
import torch.nn.functional as F

from threedad.core import UsageError
from threedad.texture import Bottle2neck, Res2Net, map_side, zero_branches

SMALL = dict(layers=(1, 2, 1, 1), planes=(8, 8, 16, 16), stem=(8, 8, 8))


@pytest.mark.parametrize("size", [32, 72, 100, 136, 224])
def test_the_map_has_the_side_it_is_said_to_have(size):
    net = Res2Net(**SMALL).eval()
    with torch.no_grad():
        maps, logits = net(torch.zeros(2, 3, size, size))
    assert maps.shape == (2, 64, map_side(size), map_side(size)) and logits.shape == (2, 2)


@pytest.mark.parametrize("kind", [dict(first=True, stride=2), dict(first=True), dict()], ids=str)
def test_a_fresh_block_is_its_shortcut(kind):
    torch.manual_seed(0)
    block, x = Bottle2neck(32, 8, **kind, base_width=32), torch.rand(2, 32, 9, 9)
    zero_branches(block)
    assert torch.equal(block(x), F.relu(block.downsample(x)))


@pytest.mark.parametrize("depth", [1, 8, 23])
@pytest.mark.parametrize("training", [False, True])
def test_features_do_not_grow_with_depth(depth, training):
    """However many blocks, a fresh network's map stays of the size of its input."""
    torch.manual_seed(0)
    net = Res2Net((1, 1, depth, 1), planes=(8, 8, 16, 16), stem=(8, 8, 8)).train(training)
    with torch.no_grad():
        maps = net.features(torch.randn(4, 3, 64, 64))
    assert maps.isfinite().all() and maps.abs().max() < 100


@pytest.mark.parametrize("side", [72, 100, 224])
def test_the_reference_head_reads_the_flattened_third_layer(side):
    net = Res2Net(**SMALL, reference_head=side).eval()
    assert net.fc.in_features == 64 * map_side(side, 16) ** 2
    with torch.no_grad():
        assert net(torch.zeros(1, 3, side, side))[1].shape == (1, 2)


@pytest.mark.parametrize(
    "settings",
    [
        dict(layers=(1, 1, 1)),
        dict(planes=(8, 8, 16, 16, 32)),
        dict(stem=(8,)),
        dict(scale=1),
        dict(planes=(1, 8, 16, 16)),
        dict(base_width=1),
    ],
    ids=str,
)
def test_sizes_that_cannot_be(settings):
    with pytest.raises(UsageError, match="Res2Net"):
        Res2Net(**SMALL | settings)
