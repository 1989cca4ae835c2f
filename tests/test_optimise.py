"""Learning rate, averaged weights, and batch statistics that processes share."""

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

from helpers.training import group
from threedad.optimise import SharedBatchNorm, ema_update, lr_at, share_statistics

SHAPES = dict(vectors=(8, 5), maps=(8, 5, 6, 6), frames=(2, 5, 3, 1), far=(8, 5, 4, 4))

SHARES = """
import json, os, torch
import torch.distributed as dist
from threedad.optimise import SharedBatchNorm
dist.init_process_group('gloo')
rank, said = dist.get_rank(), {{}}
for name, shape in {shapes!r}.items():
    g = torch.Generator().manual_seed(len(name))
    x = torch.randn(shape, generator=g, dtype=torch.float64) + (1000 if name == 'far' else 0)
    norm = SharedBatchNorm(5).double()
    half = x.chunk(2)[rank].clone().requires_grad_()
    weights = torch.randn(shape, generator=g, dtype=torch.float64).chunk(2)[rank]
    y = norm(half)
    (y * weights).sum().backward()
    said[name] = dict(y=y.tolist(), grad=half.grad.tolist(), var=norm.running_var.tolist())
print(json.dumps(said))
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def shares():
    return [json.loads(said) for said in group(SHARES.format(shapes=SHAPES))]


@pytest.mark.parametrize("name", SHAPES)
def test_two_processes_share_statistics(shares, name):
    """Outputs, gradients and running variance of two halves are those of the whole batch."""
    g, shape = torch.Generator().manual_seed(len(name)), SHAPES[name]
    x = torch.randn(shape, generator=g, dtype=torch.float64) + (1000 if name == "far" else 0)
    x.requires_grad_()
    norm = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(5).double()
    y = norm(x)
    (y * torch.randn(shape, generator=g, dtype=torch.float64)).sum().backward()
    for key, want in dict(y=y, grad=x.grad).items():
        got = torch.cat([torch.tensor(s[name][key], dtype=torch.float64) for s in shares])
        assert (got - want).abs().max() < 1e-9 * max(1, want.abs().max()), key
    for s in shares:
        got = torch.tensor(s[name]["var"], dtype=torch.float64)
        assert torch.allclose(got, norm.running_var, rtol=1e-9)


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5)),
        nn.Sequential(
            nn.Conv2d(3, 5, 1), nn.Sequential(nn.BatchNorm2d(5, momentum=0.3), nn.ReLU())
        ),
        nn.ModuleList([nn.BatchNorm2d(3, eps=1e-3), nn.Identity()]),
    ],
    ids=["vectors", "nested maps", "a list"],
)
def test_sharing_keeps_names_weights_and_settings(net):
    before = copy.deepcopy(net)
    norms = [
        (m.eps, m.momentum)
        for m in net.modules()
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))
    ]
    share_statistics(net)
    shared = [m for m in net.modules() if isinstance(m, SharedBatchNorm)]
    assert [(m.eps, m.momentum) for m in shared] == norms
    assert net.state_dict().keys() == before.state_dict().keys()
    for k, v in before.state_dict().items():
        assert torch.equal(net.state_dict()[k], v), k


@pytest.mark.parametrize("steps, warmup", [(400, 0.05), (10, 0), (3, 1), (1, 0.5)])
def test_learning_rate_rises_and_falls(steps, warmup):
    lrs = np.array([lr_at(s, steps, 0.1, warmup) for s in range(steps)])
    top = lrs.argmax()
    assert lrs.max() == pytest.approx(0.1) and (lrs > 0).all()
    assert (np.diff(lrs[: top + 1]) > 0).all() and (np.diff(lrs[top:]) <= 0).all()


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
def test_average_follows_and_counts_are_copied(decay):
    net, ema = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    nn.init.constant_(net.weight, 2.0)
    net.num_batches_tracked += 7
    for step in range(2000):
        ema_update(ema, net, step, decay)
    assert ema.weight.detach() == pytest.approx(torch.full((3,), 2.0), abs=0.15)
    assert ema.num_batches_tracked == 7
