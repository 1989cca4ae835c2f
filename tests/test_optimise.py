"""The schedule, the averaged weights, and statistics that several processes share."""

import copy

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

from threedad.optimise import SharedBatchNorm, ema_update, lr_at, share_statistics


@pytest.mark.parametrize('steps', [1, 2, 7, 100, 5000])
@pytest.mark.parametrize('warmup', [0, 0.05, 0.5, 1])
def test_the_rate_rises_and_falls_within_bounds(steps, warmup):
    rates = np.array([lr_at(k, steps, 0.1, warmup) for k in range(steps)])
    assert (rates > 0).all() and (rates <= 0.1).all() and rates.max() == pytest.approx(0.1)
    top = rates.argmax()
    assert (np.diff(rates[: top + 1]) >= 0).all() and (np.diff(rates[top:]) <= 0).all()


@pytest.mark.parametrize('decay', [0.0, 0.5, 0.99])
def test_an_average_comes_to_rest_where_the_weights_do(decay):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    ema = copy.deepcopy(net)
    with torch.no_grad():
        net[0].weight.add_(1)
        net[1].num_batches_tracked.add_(5)
    before = float((net[0].weight - ema[0].weight).abs().max())
    ema_update(ema, net, 0, decay)
    assert ema[1].num_batches_tracked == 5
    after = float((net[0].weight - ema[0].weight).abs().max())
    assert after == pytest.approx(before * min(decay, 0.1), abs=1e-6)
    for step in range(1, 3000):
        ema_update(ema, net, step, decay)
    assert torch.allclose(ema[0].weight, net[0].weight, atol=1e-4)


@pytest.fixture
def alone():
    dist.init_process_group('gloo', rank=0, world_size=1, store=dist.HashStore())
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize('shape', [(8, 4), (3, 4, 5, 5), (2, 4, 1, 1)])
def test_shared_statistics_of_one_process_are_its_own(alone, shape):
    torch.manual_seed(0)
    kind = nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    plain = nn.Sequential(kind(4))
    shared = copy.deepcopy(plain)
    share_statistics(shared)
    assert isinstance(shared[0], SharedBatchNorm)
    assert plain.state_dict().keys() == shared.state_dict().keys()
    for _ in range(3):
        x = torch.randn(shape, requires_grad=True)
        y = x.detach().clone().requires_grad_()
        a, b = plain(x), shared(y)
        assert torch.allclose(a, b, atol=1e-5)
        way = torch.randn_like(a)
        (a * way).sum().backward()
        (b * way).sum().backward()
        assert torch.allclose(x.grad, y.grad, atol=1e-4)
    for k, v in plain.state_dict().items():
        assert torch.allclose(v, shared.state_dict()[k], atol=1e-5), k
    assert torch.allclose(plain.eval()(x), shared.eval()(x), atol=1e-5)
