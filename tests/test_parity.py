"""The detector computes the functions of the reference: weights by rule, numbers measured there (tests/golden)."""

import functools, json, zlib
from pathlib import Path
import numpy as np, pytest, torch
from threedad.analysis import MobileNet, to_3ddfa
from threedad.detector import fake_probability, load_reference
from threedad.fusion import Fusion
from threedad.texture import Res2Net

HERE = Path(__file__).parent
SHARED = HERE.parent.parent / 'shared'
KEYS = json.loads((HERE / 'golden' / 'state_dict_keys.json').read_text())
GOLDEN = np.load(HERE / 'golden' / 'detector.npz')
TOLERANCE = 2e-5  # of the largest reference value


@functools.cache
def weights(part):
    "Weights of one part by the golden rule."
    state = {}
    for key, shape in KEYS[part].items():
        if key.startswith(('base.', 'fc2.')):
            continue
        r = np.random.default_rng(zlib.crc32(key.encode()))
        if key.endswith('num_batches_tracked'):
            state[key] = torch.zeros(shape, dtype=torch.int64)
            continue
        if key.endswith('running_var'):
            v = r.uniform(0.5, 1.5, shape)
        elif key.endswith(('running_mean', 'bias')):
            v = r.normal(0, 0.1, shape)
        elif len(shape) == 1:
            v = r.uniform(*((0.3, 0.9) if part == 'texture' else (0.7, 1.5)), shape)
        else:
            v = r.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        state[key] = torch.from_numpy(np.asarray(v, dtype=np.float32))
    return state


def close(got, name, reference=None):
    ref = GOLDEN[name] if reference is None else reference
    assert got.shape == ref.shape
    error = np.abs(got.numpy() - ref).max() / np.abs(ref).max()
    assert error <= TOLERANCE, f'{name}: {error:.1e} of the largest value'


@pytest.fixture(scope='module', autouse=True)
def exact():
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    with torch.inference_mode():
        yield


@pytest.fixture(scope='module')
def inputs():
    r = np.random.default_rng(0)
    return [
        torch.from_numpy(r.normal(0, 1, s).astype('float32'))
        for s in ((4, 3, 120, 120), (2, 3, 224, 224))
    ]


@pytest.fixture(scope='module')
def fusion():
    net = Fusion()
    net.load_state_dict(weights('fusion'))
    return net.eval()


def test_analysis(inputs):
    net = MobileNet()
    net.load_state_dict(weights('analysis'))
    close(net.eval().features(inputs[0]), 'analysis_features')


def test_texture(inputs):
    net = Res2Net(reference_head=224)
    net.load_state_dict(weights('texture'))
    maps, logits = net.eval()(inputs[1])
    close(maps.mean((2, 3)), 'texture_features_mean')
    close(maps[:, :, ::3, ::3], 'texture_features_corner')
    close(logits, 'texture_frame_logits')


@pytest.mark.parametrize('T', [4, 8])
def test_fusion(fusion, T):
    r = np.random.default_rng(T)
    a = np.maximum(r.normal(0, 1, (2 * T, 1024, 4, 4)), 0).astype('float32')
    c = np.maximum(r.normal(0, 1, (2 * T, 2048, 7, 7)), 0).astype('float32')
    g = np.linspace(0.3, 1.7, 2 * T).astype('float32')[:, None, None, None]
    a, c = (torch.from_numpy(v).unflatten(0, (2, T)) for v in (a * g, c * g[::-1]))
    logits = fusion(a, c)
    close(logits, f'fusion_logits_T{T}')
    close(logits.softmax(-1), f'fusion_probs_T{T}')
    moved = (fusion(a.flip(1), c) - logits).abs().max()
    assert 1e-3 < moved < 0.2, 'order of the frames matters, by up to 0.1'


def test_reference_checkpoint(fusion, tmp_path):
    "Three bare state dicts load with their extras, classes in our order, and score what the parts give."
    files = {}
    for part in ('analysis', 'texture', 'fusion'):
        state = weights(part)
        if part == 'analysis':
            state = state | {'fc2.weight': torch.zeros(2, 62), 'fc2.bias': torch.zeros(2)}
        if part == 'fusion':
            state = state | {'base.conv1.weight': torch.zeros(64, 3, 7, 7)}
        torch.save(state, files.setdefault(part, tmp_path / f'{part}.pt'))
    net = load_reference(*files.values())
    for f in files.values():
        f.unlink()
    clips = torch.rand(1, 4, 3, 300, 260, generator=torch.Generator().manual_seed(0))
    maps, frames = net.encode(clips[0])
    ours, fake_real = net.fuse(maps[None]), fusion.pyramid(maps[None])
    assert torch.allclose(
        ours, fake_real.flip(-1), rtol=1e-4, atol=1e-4 * fake_real.abs().max().item()
    )
    assert torch.allclose(fake_probability(ours), fake_real.softmax(-1).mean(1)[:, 0], atol=1e-5)
    assert (
        torch.equal(net.texture.fc.weight, weights('texture')['fc.weight'].flip(0))
        and net.config.compat == 'reference'
    )


def test_reference_input_is_pils():
    "Preparation in compat mode against PIL itself."
    Image = pytest.importorskip('PIL.Image')
    from threedad.detector import prepare
    from threedad.presets import PRESETS

    image = np.random.default_rng(0).integers(0, 256, (300, 260, 3), dtype=np.uint8)
    a, t = prepare(torch.from_numpy(image).permute(2, 0, 1)[None] / 255, PRESETS['reference'])
    pil = Image.fromarray(image)
    small = np.asarray(pil.resize((120, 120), Image.BILINEAR), dtype=np.float32)
    assert np.abs((a[0].permute(1, 2, 0).numpy() * 128 + 127.5) * 255 - small).max() <= 1.01
    big = np.asarray(pil.resize((256, int(256 * 300 / 260)), Image.BILINEAR), dtype=np.float32)
    top, left = round((big.shape[0] - 224) / 2), round((big.shape[1] - 224) / 2)
    want = (
        big[top : top + 224, left : left + 224] / 255 - np.array([0.643, 0.466, 0.387])
    ) / np.array([0.259, 0.220, 0.203])
    assert np.abs(t[0].permute(1, 2, 0).numpy() - want).max() <= 1.01 / 255 / 0.2


def test_3ddfa_weights():
    path, golden = SHARED / 'weights' / 'mb05_120x120.pth', SHARED / 'golden' / 'mb05.npz'
    if not (path.exists() and golden.exists()):
        pytest.skip('third-party weights are not at hand')
    net, d = MobileNet.load_3ddfa(path), np.load(golden)
    assert net.width == 0.5
    rgb = torch.from_numpy(d['crops_bgr'][..., ::-1].copy()).permute(0, 3, 1, 2) / 255
    close(net(to_3ddfa(rgb)), 'params62_normalised', d['params62_normalised'])
