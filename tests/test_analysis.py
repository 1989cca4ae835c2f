"""The 3D Analysis Unit: shapes at any width and size, and published weights."""

import pytest
import torch

from threedad.analysis import DepthwiseSeparable, MobileNet, to_3ddfa
from threedad.core import CheckpointError


@pytest.mark.parametrize('width, size, side', [(1 / 8, 40, 2), (0.25, 72, 3), (0.5, 120, 4)])
def test_maps_and_numbers_have_their_shapes(width, size, side):
    net, x = MobileNet(width).eval(), torch.rand(2, 3, size, size)
    assert net.features(x).shape == (2, int(1024 * width), side, side)
    assert net(x).shape == (2, 62) and net(x).isfinite().all()


@pytest.mark.parametrize('stride', [1, 2])
def test_a_block_mixes_channels_after_places(stride):
    block, x = DepthwiseSeparable(4, 6, stride).eval(), torch.rand(1, 4, 9, 9)
    y = block(x)
    assert y.shape == (1, 6, -(-9 // stride), -(-9 // stride)) and (y >= 0).all()
    moved = x.clone()
    moved[..., 4, 4] += 1
    reached = (block(moved) != y).any(1)[0].nonzero()
    assert (abs(reached * stride - 4) <= 1 + (stride - 1)).all()


@pytest.mark.parametrize('value, want', [(0.0, -127.5 / 128), (0.5, 0.0), (1.0, 127.5 / 128)])
def test_faces_are_brought_to_the_range_of_3ddfa(value, want):
    rgb = torch.zeros(1, 3, 2, 2)
    rgb[:, 0] = value
    assert torch.allclose(to_3ddfa(rgb)[0, 2], torch.full((2, 2), want), atol=1e-6)


@pytest.mark.parametrize('width', [0.25, 0.5, 1.0])
@pytest.mark.parametrize('form', ['bare', 'state_dict', 'module.'])
def test_published_files_load_at_any_width(width, form, tmp_path):
    torch.manual_seed(0)
    net = MobileNet(width).eval()
    state = {k.replace('fc.', 'fc_param.'): v for k, v in net.state_dict().items()}
    state['fc_lm.weight'] = torch.zeros(136, int(1024 * width))
    state = {f'module.{k}': v for k, v in state.items()} if form == 'module.' else state
    torch.save({'state_dict': state} if form == 'state_dict' else state, tmp_path / 'w.pth')
    back, x = MobileNet.load_3ddfa(tmp_path / 'w.pth'), torch.rand(1, 3, 120, 120)
    assert back.width == width and torch.equal(back(x), net(x))


STATE = MobileNet(0.25).state_dict()


@pytest.mark.parametrize(
    'state, cause',
    [
        ({'x': torch.zeros(2)}, 'not a 3DDFA_V2 MobileNet'),
        (STATE | {'conv1.weight': torch.zeros(4096, 3, 3, 3)}, 'no such MobileNet'),
        (STATE | {'fc.weight': torch.zeros(10**6, 1)}, 'no such MobileNet'),
        (STATE | {'conv1.weight': torch.zeros(16, 3, 3, 3)}, 'expected'),
    ],
)
def test_other_files_are_refused(state, cause, tmp_path):
    torch.save(state, tmp_path / 'w.pth')
    with pytest.raises(CheckpointError, match=cause):
        MobileNet.load_3ddfa(tmp_path / 'w.pth')
