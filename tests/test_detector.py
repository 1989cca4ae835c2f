"""Detectors: fresh ones give finite scores, and a stranger's checkpoint cannot fill the memory."""

import json
import resource

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.runs import SMALL
from threedad.core import CheckpointError, UsageError
from threedad.detector import Detector, checkpoint_info
from threedad.presets import PRESETS


def clips_of(kind):
    g = torch.Generator().manual_seed(0)
    made = dict(
        black=torch.zeros(2, 4, 3, 96, 96),
        white=torch.ones(2, 4, 3, 96, 96),
        noise=torch.rand(2, 4, 3, 96, 96, generator=g),
        still=torch.rand(2, 1, 3, 96, 80, generator=g).expand(-1, 4, -1, -1, -1),
    )
    return made[kind]


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('kind', ['black', 'white', 'noise', 'still'])
def test_a_fresh_tiny_gives_finite_scores(kind, training):
    for seed in range(3):
        torch.manual_seed(seed)
        score = Detector('tiny').train(training).score(clips_of(kind))
        assert score.shape == (2,) and score.isfinite().all()
        assert ((score > 0) & (score < 1)).all()


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('preset', ['paper', 'reference'])
def test_a_fresh_large_one_gives_finite_scores(preset, training):
    torch.manual_seed(0)
    net = Detector(preset).train(training)
    for kind in ('noise', 'still'):
        out = net(clips_of(kind))
        assert out.clip_logits.isfinite().all() and out.frame_logits.isfinite().all()
        assert out.clip_logits.abs().max() < 100
    assert {'paper', 'reference', 'tiny'} == set(PRESETS)


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    torch.manual_seed(0)
    return Detector(**SMALL).eval().save(tmp_path_factory.mktemp('d') / 'd.safetensors', seed=3)


def changed(saved, path, config=None, top=None, tensors=None):
    """The checkpoint with another description."""
    info = checkpoint_info(saved)
    info['config'] = info['config'] | (config or {})
    state = load_file(str(saved)) | (tensors or {})
    save_file(state, str(path), metadata={'threedad': json.dumps(info | (top or {}))})


@pytest.mark.parametrize('half', [False, True])
def test_a_checkpoint_comes_back(half, tmp_path):
    net = Detector(**SMALL).eval()
    back = Detector.load(net.save(tmp_path / 'd.safetensors', half=half, note='n'))
    x = clips_of('noise')
    assert torch.allclose(net.score(x), back.score(x), atol=1e-2 if half else 1e-6)
    assert back.training_info['note'] == 'n' and back.config == net.config


HOSTILE = {
    'no frames': dict(config=dict(frames=0)),
    'too many frames': dict(config=dict(frames=10**8)),
    'wide': dict(config=dict(channels=8192, texture_planes=[2048] * 4)),
    'deep': dict(config=dict(texture_layers=[64] * 4)),
    'a size that is no number': dict(config=dict(texture_size='x' * 10**5)),
    'not a number': dict(config=dict(analysis_width=float('nan'))),
    'a setting of its own': dict(config=dict(command='rm')),
    'no dictionary': dict(top=dict(config=[1, 2])),
    'another format': dict(top=dict(format='other')),
    'another schema': dict(top=dict(schema=10**6)),
    'a weight too many': dict(tensors={'extra': torch.zeros(2)}),
    'a weight of another shape': dict(tensors={'fusion.classifier.0.weight': torch.zeros(5)}),
}


@pytest.mark.parametrize('kind', HOSTILE)
def test_a_hostile_checkpoint_is_refused_before_memory_is_taken(kind, saved, tmp_path):
    path = tmp_path / 'x.safetensors'
    changed(saved, path, **HOSTILE[kind])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError) as e:
        Detector.load(path)
    assert str(path) in str(e.value) and len(str(e.value)) < 400 and '\n' not in str(e.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize('shape', [(4, 3, 72, 72), (1, 3, 3, 72, 72), (1, 4, 1, 72, 72), (2,)])
def test_what_is_no_clip_is_told_so(shape):
    with pytest.raises(UsageError, match='must'):
        Detector(**SMALL).score(torch.zeros(shape))


@pytest.mark.parametrize('n, batch_size', [(4, 1), (13, 2), (32, 8), (32, 100)])
def test_frames_that_clips_share_are_encoded_once(n, batch_size, monkeypatch):
    torch.manual_seed(0)
    net, seen = Detector(**SMALL).eval(), []
    frames = np.random.default_rng(0).integers(0, 256, (n, 72, 72, 3), np.uint8)
    clips = np.stack([np.arange(4) + k for k in range(n - 3)])
    encode = net.encode
    monkeypatch.setattr(net, 'encode', lambda x: seen.append(len(x)) or encode(x))
    scores = net.score_frames(frames, clips, batch_size)
    assert sum(seen) == n
    x = torch.from_numpy(frames).permute(0, 3, 1, 2)[clips].float() / 255
    assert np.allclose(scores, net.score(x).numpy(), atol=1e-5)
