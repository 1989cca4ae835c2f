"""The network that reads a face in 3DMM space, and the files that hold its weights."""

import pytest
import torch

from helpers.checkpoints import WRAPPINGS, little_memory, pickles
from threedad.analysis import DepthwiseSeparable, MobileNet, to_3ddfa
from threedad.core import CheckpointError


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return MobileNet(0.125).eval()


def as_3ddfa(net):
    """A state as the scripts of 3DDFA_V2 name it, with the heads that we do not use."""
    state = {k.replace("fc.", "fc_param."): v for k, v in net.state_dict().items()}
    return state | {"fc_lm.weight": torch.zeros(136, 128), "fc2.bias": torch.zeros(2)}


@pytest.mark.parametrize("name", WRAPPINGS)
def test_wrapped_files_load(small, tmp_path, name):
    torch.save(WRAPPINGS[name](as_3ddfa(small)), tmp_path / "x.pth")
    net = MobileNet.load_3ddfa(tmp_path / "x.pth")
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert net.width == 0.125 and not net.training
    with torch.no_grad():
        assert torch.allclose(net(x), small(x), atol=0.05 if name == "half" else 0)


CONV, HEAD = "conv1.weight", "fc_param.weight"
HOSTILE = {
    "no first layer": {CONV: None},
    "no head": {HEAD: None},
    "a flat first layer": {CONV: torch.zeros(4)},
    "no channels": {CONV: torch.zeros(0, 3, 3, 3)},
    "a million channels": {CONV: torch.zeros(1).expand(2**20, 3, 3, 3)},
    "a stretched head": {HEAD: torch.zeros(1).expand(2**30, 2**20)},
    "wider than the rest": {CONV: torch.zeros(32, 3, 3, 3)},
    "another number": {HEAD: torch.full((62, 128), float("nan"))},
    "whole numbers": {CONV: torch.zeros(4, 3, 3, 3, dtype=torch.int32)},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(small, tmp_path, name):
    state = as_3ddfa(small) | HOSTILE[name]
    torch.save({k: v for k, v in state.items() if v is not None}, tmp_path / "x.pth")
    with little_memory(), pytest.raises(CheckpointError, match="x.pth") as e:
        MobileNet.load_3ddfa(tmp_path / "x.pth")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("name", ["archive", "old", "bare", "hidden"])
def test_pickles_are_not_run(tmp_path, name):
    trace = tmp_path / "ran"
    with pytest.raises(CheckpointError, match="safely"):
        MobileNet.load_3ddfa(pickles(tmp_path / "files", trace)[name])
    assert not trace.exists()


@pytest.mark.parametrize("width, size", [(0.125, 40), (0.25, 72), (0.5, 120), (1, 33)])
def test_shapes(width, size):
    net = MobileNet(width).eval()
    side = -(-size // 32)
    with torch.no_grad():
        maps = net.features(torch.zeros(2, 3, size, size))
        assert maps.shape == (2, net.channels, side, side)
        assert net(torch.zeros(2, 3, size, size)).shape == (2, 62)


@pytest.mark.parametrize("stride, side", [(1, 9), (2, 5)])
def test_a_block_keeps_channels_apart_until_its_end(stride, side):
    block = DepthwiseSeparable(3, 7, stride).eval()
    assert block(torch.rand(2, 3, 9, 9)).shape == (2, 7, side, side)
    assert block.conv_dw.groups == 3


@pytest.mark.parametrize("shape", [(3, 2, 2), (1, 3, 2, 2), (2, 4, 3, 2, 2)])
def test_faces_become_bgr_around_zero(shape):
    x = torch.zeros(shape)
    x[..., 0, :, :] = 1
    y = to_3ddfa(x)
    assert torch.allclose(y[..., 2, :, :], torch.tensor(127.5 / 128))
    assert torch.allclose(y[..., :2, :, :], torch.tensor(-127.5 / 128))
