"""Clips in, P(fake) out: finite from the first moment, saved and loaded whole, hostile files refused."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.checkpoints import (
    WRAPPINGS,
    little_memory,
    memory_kept_flat,
    pickles,
    raw_safetensors,
)
from helpers.training import SMALL
from threedad.core import CheckpointError, UsageError
from threedad.detector import (
    Detector,
    Output,
    checkpoint_info,
    detector_loss,
    few_threads,
    highpass,
    load_reference,
    prepare,
    verdict_loss,
)
from threedad.presets import PRESETS


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


INPUTS = {
    "black": lambda n: torch.zeros(1, 4, 3, n, n),
    "white": lambda n: torch.ones(1, 4, 3, n, n),
    "noise": lambda n: noise(1, 4, 3, n, n),
    "one bright pixel": lambda n: torch.eye(n).mul(torch.eye(n)[0]).expand(1, 4, 3, n, n),
    "checkers": lambda n: (torch.arange(n) % 2).float().expand(1, 4, 3, n, n),
    "wide and small": lambda n: noise(1, 4, 3, 50, 90),
    "frames that differ": lambda n: (
        torch.linspace(0, 1, 4).view(1, 4, 1, 1, 1).expand(1, 4, 3, n, n)
    ),
}


@pytest.fixture(scope="module", params=PRESETS)
def fresh(request):
    torch.manual_seed(0)
    return Detector(request.param)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return Detector("tiny", **SMALL).eval()


@pytest.mark.parametrize("name", INPUTS)
def test_fresh_detectors_give_finite_scores(fresh, name):
    score = fresh.eval().score(INPUTS[name](fresh.config.texture_size))
    assert score.shape == (1,) and 0 < score.item() < 1


def test_fresh_detectors_give_finite_losses_and_gradients(fresh):
    side = fresh.config.texture_size
    clips = torch.cat([INPUTS[name](side) for name in ("noise", "black")])
    loss = detector_loss(fresh.train()(clips), torch.tensor([0, 1]))
    loss.backward()
    assert loss.isfinite() and 0.1 < loss < 10
    assert all(p.grad.isfinite().all() for p in fresh.parameters() if p.grad is not None)
    fresh.zero_grad(set_to_none=True)


@pytest.mark.parametrize("seed", range(3))
def test_fresh_detectors_differ_by_seed_and_know_nothing(seed):
    torch.manual_seed(seed)
    net = Detector("tiny", **SMALL).eval()
    scores = net.score(noise(4, 4, 3, 72, 72, seed=seed))
    assert (scores - 0.5).abs().max() < 0.2


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("settings", [dict(), dict(highpass=False), dict(frames=8)], ids=str)
def test_what_is_saved_comes_back(tmp_path, half, settings):
    torch.manual_seed(0)
    net = Detector("tiny", **SMALL | settings).eval()
    net.save(tmp_path / "x.safetensors", half=half, seed=3)
    again = Detector.load(tmp_path / "x.safetensors")
    assert again.config == net.config and again.training_info["seed"] == 3 and not again.training
    clips = noise(2, net.config.frames, 3, 72, 72)
    assert torch.allclose(again.score(clips), net.score(clips), atol=1e-2 if half else 0)
    assert checkpoint_info(tmp_path / "x.safetensors")["preset"] == net.config.name


HUGE = dict(
    channels=8192,
    texture_planes=[2048] * 4,
    texture_stem=[512] * 3,
    texture_layers=[64] * 4,
    analysis_width=4,
)
SETTINGS = {
    "no frames": dict(frames=0),
    "five frames": dict(frames=5),
    "negative frames": dict(frames=-4),
    "negative channels": dict(channels=-32),
    "a billion channels": dict(channels=8 * 10**9),
    "a number of 400 digits": dict(channels=10**400),
    "not a number": dict(analysis_width=float("nan")),
    "infinite": dict(analysis_width=float("inf")),
    "no width": dict(analysis_width=0),
    "no layers": dict(texture_layers=[]),
    "a million layers": dict(texture_layers=[10**6] * 4),
    "layers in a text": dict(texture_layers="1111"),
    "a huge image": dict(texture_size=10**6),
    "maps that do not meet": dict(texture_size=500),
    "a text": dict(channels="32"),
    "nothing": dict(channels=None),
    "true": dict(channels=True),
    "unknown": dict(depth=3),
    "named like a parameter": dict(preset="tiny"),
    "a long name": dict(name="x" * 10**6),
    "the largest allowed": HUGE,
    "wider than its weights": dict(channels=64),
    "deeper than its weights": dict(texture_layers=[2, 1, 1, 1]),
    "with another input": dict(highpass=False),
}


def with_settings(net, path, **changed):
    """A checkpoint whose header claims other settings than its weights have."""
    net.save(path)
    info = checkpoint_info(path)
    info["config"] |= changed
    save_file(load_file(path), path, metadata=dict(threedad=json.dumps(info)))
    return path


def refused(path):
    with memory_kept_flat(), little_memory(), pytest.raises(CheckpointError) as e:
        Detector.load(path)
    assert path.name in str(e.value) and "\n" not in str(e.value) and len(str(e.value)) < 500
    return str(e.value)


@pytest.mark.parametrize("name", SETTINGS)
def test_hostile_settings_are_refused(small, tmp_path, name):
    refused(with_settings(small, tmp_path / "x.safetensors", **SETTINGS[name]))


WEIGHTS = {
    "missing": lambda s: {k: v for k, v in s.items() if k != "fusion.classifier.0.bias"},
    "extra": lambda s: s | {"more": torch.zeros(3)},
    "another shape": lambda s: s | {"fusion.classifier.0.bias": torch.zeros(3)},
    "double": lambda s: s | {"fusion.classifier.0.bias": torch.zeros(2, dtype=torch.float64)},
    "whole numbers": lambda s: s | {"fusion.classifier.0.bias": torch.zeros(2, dtype=torch.int64)},
    "not a number": lambda s: s | {"fusion.classifier.0.bias": torch.full((2,), float("nan"))},
    "infinite": lambda s: s | {"texture.bn1.running_var": torch.full((8,), float("inf"))},
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_hostile_weights_are_refused(small, tmp_path, name):
    path = small.save(tmp_path / "x.safetensors")
    metadata = dict(threedad=json.dumps(checkpoint_info(path)))
    save_file(WEIGHTS[name](load_file(path)), path, metadata=metadata)
    refused(path)


@pytest.mark.parametrize("shape", [[2**40], [2**33, 2**33], [-2]])
def test_headers_that_lie_are_refused(small, tmp_path, shape):
    info = checkpoint_info(small.save(tmp_path / "good.safetensors"))
    tensors = {"fusion.classifier.0.bias": ("F32", shape, [0, 8])}
    described = dict(threedad=json.dumps(info))
    refused(raw_safetensors(tmp_path / "x.safetensors", tensors, bytes(8), metadata=described))


DESCRIPTIONS = {
    "none": None,
    "another format": dict(format="other"),
    "another schema": dict(schema=2),
    "a huge schema": dict(schema="x" * 10**6),
    "no settings": dict(config=None),
    "settings in a list": dict(config=[1, 2]),
    "training in a text": dict(training="good"),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_descriptions_of_something_else_are_refused(small, tmp_path, name):
    path, change = small.save(tmp_path / "x.safetensors"), DESCRIPTIONS[name]
    metadata = None if change is None else json.dumps(checkpoint_info(path) | change)
    save_file(load_file(path), path, metadata=metadata and dict(threedad=metadata))
    refused(path)


@pytest.mark.parametrize("name", ["archive", "old", "bare", "hidden"])
def test_pickles_are_not_run(tmp_path, name):
    path, trace = pickles(tmp_path / "files", tmp_path / "ran")[name], tmp_path / "ran"
    refused(path)
    with pytest.raises(CheckpointError):
        load_reference(path, path, path)
    assert not trace.exists()


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(0)
    return Detector("reference", **SMALL).eval()


def reference_files(net, folder, wrap):
    """Three files as the reference scripts leave them, where class 0 is fake."""
    for part in ("analysis", "texture", "fusion"):
        state = getattr(net, part).state_dict()
        heads = [k for k in state if part != "analysis" and k.startswith(("classifier.", "fc."))]
        state |= {k: state[k].flip(0) for k in heads}
        torch.save(wrap(state), folder / f"{part}.pth")
    return [folder / f"{part}.pth" for part in ("analysis", "texture", "fusion")]


@pytest.mark.parametrize("name", WRAPPINGS)
def test_wrapped_reference_files_load(reference, tmp_path, name):
    net = load_reference(*reference_files(reference, tmp_path, WRAPPINGS[name]), **SMALL)
    clips = noise(2, 4, 3, 90, 80)
    tolerance = 1e-2 if name == "half" else 0
    assert torch.allclose(net.score(clips), reference.score(clips), atol=tolerance)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (2, 1, 0)], ids=str)
def test_reference_files_in_another_order_are_refused(reference, tmp_path, order):
    files = reference_files(reference, tmp_path, dict)
    with pytest.raises(CheckpointError, match="missing"):
        load_reference(*[files[i] for i in order], **SMALL)


@pytest.mark.parametrize(
    "shape", [(4, 3, 72, 72), (1, 4, 1, 72, 72), (1, 3, 3, 72, 72), (1, 0, 3, 72, 72)], ids=str
)
def test_what_is_no_clip(small, shape):
    with pytest.raises(UsageError, match="clip"):
        small(torch.zeros(shape))


@pytest.mark.parametrize("batch_size", [1, 3, 100])
@pytest.mark.parametrize("frames", [4, 5, 13])
def test_scores_of_a_video_are_those_of_its_clips(small, batch_size, frames):
    video = (noise(frames, 80, 70, 3).numpy() * 255).astype("uint8")
    clips = np.arange(frames - 3)[::-1, None] + np.arange(4)
    scores = small.score_frames(video, clips, batch_size)
    alone = small.score(torch.from_numpy(video[clips]).permute(0, 1, 4, 2, 3) / 255)
    assert np.allclose(scores, alone, atol=1e-5)


def test_a_video_without_clips_has_no_scores(small):
    frames = np.zeros((3, 72, 72, 3), "uint8")
    assert len(small.score_frames(frames, np.zeros((0, 4), int))) == 0


@pytest.mark.parametrize("settings", [dict(), dict(highpass=False), dict(frames=8)], ids=str)
def test_double_precision_gives_the_same_scores(settings):
    torch.manual_seed(0)
    net = Detector("tiny", **SMALL | settings).eval()
    clips = noise(2, net.config.frames, 3, 72, 72)
    single = net.score(clips)
    assert net.double().precision == torch.float64
    assert torch.allclose(net.score(clips).float(), single, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_losses_are_at_least_in_single_precision(dtype):
    logits = torch.tensor([[[10.0, -10.0]] * 3, [[-10.0, 10.0]] * 3], dtype=dtype)
    assert verdict_loss(logits, torch.tensor([0, 1])).item() == pytest.approx(2.06e-9, abs=1e-7)
    parts = Output(logits, logits[:, :2])
    wrong = detector_loss(parts, torch.tensor([1, 0]))
    assert wrong.item() == pytest.approx(20) and wrong.dtype != torch.float16


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_flat_picture_has_no_high_pass(value):
    assert highpass(torch.full((1, 3, 9, 9), value)).abs().max() < 1e-4


@pytest.mark.parametrize("size", [(72, 72), (300, 260), (31, 200)])
@pytest.mark.parametrize("preset", PRESETS)
def test_both_streams_get_their_sizes(preset, size):
    c = PRESETS[preset]
    a, t = prepare(noise(2, 3, *size), c)
    assert a.shape == (2, 3, c.analysis_size, c.analysis_size)
    assert t.shape == (2, 6 if c.highpass else 3, c.texture_size, c.texture_size)


@pytest.mark.parametrize("preset, threads", [("tiny", 1), ("paper", 2)])
def test_small_networks_run_on_one_thread(preset, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.device("meta"):
            net = Detector(preset)
        with few_threads(net):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("settings", [dict(), dict(compat="reference", highpass=False)], ids=str)
def test_a_detector_says_what_it_is(settings):
    said = repr(Detector("tiny", **SMALL | settings))
    assert "Detector 'tiny'" in said and "clips of 4 frames" in said
    assert ("reference input" in said) == ("compat" in settings)
