"""Degradations: each level against a definition written anew, seeds, the encoder's settings."""

import math

import cv2
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from threedad.core import UsageError, VideoError
from threedad.degrade import COMPRESSIONS, DISTORTIONS, distort, encoder_settings
from threedad.performance import Performance
from threedad.people import Person
from threedad.synth import Scene, render_video
from threedad.video import read_frames, write_video

LEVELS = range(1, 6)
PUBLISHED = dict(
    saturation=[0.4, 0.3, 0.2, 0.1, 0.0],
    contrast=[0.85, 0.725, 0.6, 0.475, 0.35],
    block=[16, 32, 48, 64, 80],
    noise=[0.001, 0.002, 0.005, 0.01, 0.05],
    blur=[7, 9, 13, 17, 21],
    pixelation=[2, 3, 4, 5, 6],
    video=[30, 32, 35, 38, 40],
)


@pytest.fixture(scope='module')
def frames():
    return render_video(Person.sample(4), Performance.sample(5, 4), Scene.sample(6), 256)[0]


def colours(h=40, w=56):
    return np.random.default_rng(1).integers(0, 256, (h, w, 3), dtype=np.uint8)


def ycbcr(image):
    "Full-range BT.601, chroma around 0; an inverse of the matrix in the library."
    return np.asarray(image, float) @ np.linalg.inv(
        [[1, 1, 1], [0, -0.344136, 1.772], [1.402, -0.714136, 0]]
    )


def same(a, b):
    return len(a) == len(b) and all(
        x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b)
    )


def test_the_table_is_the_published_one_and_frozen():
    assert {k: list(v) for k, v in DISTORTIONS.items() if k != 'jpeg'} == PUBLISHED
    assert (
        list(DISTORTIONS['jpeg']) == sorted(DISTORTIONS['jpeg'], reverse=True)
        and len(DISTORTIONS['jpeg']) == 5
    )
    with pytest.raises(TypeError):
        DISTORTIONS['jpeg'] = (1,) * 5
    assert COMPRESSIONS['c23'] == 23 and COMPRESSIONS['c40'] == 40


@pytest.mark.parametrize('level', LEVELS)
def test_saturation_scales_chroma_and_keeps_luma(level):
    image = colours()
    before, after = ycbcr(image), ycbcr(distort([image], 'saturation', level)[0])
    assert np.abs(after[..., 0] - before[..., 0]).max() < 0.51
    assert (
        np.abs(after[..., 1:] - PUBLISHED['saturation'][level - 1] * before[..., 1:]).max() < 0.51
    )
    assert before[..., 1:].std() > 40


@pytest.mark.parametrize('level', LEVELS)
def test_contrast_scales_every_value(level):
    image = colours()
    error = distort([image], 'contrast', level)[0] - PUBLISHED['contrast'][
        level - 1
    ] * image.astype(float)
    assert np.abs(error).max() <= 0.5001


@pytest.mark.parametrize('level', LEVELS)
@pytest.mark.parametrize('h,w,times', [(256, 300, 1), (100, 90, 1), (520, 600, 2)])
def test_blocks_are_so_many_squares_of_grey(level, h, w, times):
    image = np.zeros((h, w, 3), np.uint8)
    out = distort([image], 'block', level, seed=7)[0]
    grey = (out == 128).all(-1)
    assert (out[~grey] == 0).all()
    whole = np.zeros((h, w), bool)
    for y, x in np.argwhere(np.lib.stride_tricks.sliding_window_view(grey, (8, 8)).all((2, 3))):
        whole[y : y + 8, x : x + 8] = True
    assert np.array_equal(grey, whole)
    wanted = np.zeros((h, w), bool)
    corners = (
        np.random.default_rng(7)
        .spawn(1)[0]
        .integers(0, [h - 7, w - 7], (times * PUBLISHED['block'][level - 1], 2))
    )
    for y, x in corners:
        wanted[y : y + 8, x : x + 8] = True
    assert np.array_equal(grey, wanted)
    if level > 1:
        assert grey[(distort([image], 'block', level - 1, seed=7)[0] == 128).all(-1)].all()


def test_blocks_do_not_all_overlap():
    counts = [
        (distort([np.zeros((512, 512, 3), np.uint8)], 'block', n)[0] == 128).all(-1).sum() / 64
        for n in LEVELS
    ]
    assert all(0.9 * 2 * p < c <= 2 * p for c, p in zip(counts, PUBLISHED['block']))


@pytest.mark.parametrize('level', [1, 2, 3])
def test_noise_has_its_variance_in_studio_range(level):
    grey = np.full((256, 256, 3), 128, np.uint8)
    noise = (
        (ycbcr(distort([grey], 'noise', level)[0]) - [128, 0, 0])
        * np.array([219, 224, 224])
        / 255
        / 255
    )
    assert np.allclose(noise.var((0, 1)), PUBLISHED['noise'][level - 1], rtol=0.06)
    assert np.abs(noise.mean((0, 1))).max() < 0.002
    assert np.abs(np.corrcoef(noise.reshape(-1, 3).T) - np.eye(3)).max() < 0.03


@pytest.mark.parametrize('level', LEVELS)
def test_noise_is_what_is_left_of_a_gaussian_between_black_and_white(level):
    grey = np.full((256, 256, 3), 128, np.uint8)
    out = distort([grey], 'noise', level)[0].astype(float)
    luma, chroma = (255 * math.sqrt(PUBLISHED['noise'][level - 1]) * 255 / n for n in (219, 224))
    for c, (cb, cr) in enumerate(((0, 1.402), (0.344136, 0.714136), (1.772, 0))):
        s = math.sqrt(luma**2 + (cb**2 + cr**2) * chroma**2)
        second = (
            quad(lambda x, s: x * x * norm.pdf(x, 0, s), -128, 127, args=(s,))[0]
            + 128**2 * norm.cdf(-128, 0, s)
            + 127**2 * norm.sf(127, 0, s)
        )
        assert np.mean((out[..., c] - 128) ** 2) == pytest.approx(second, rel=0.03)


@pytest.mark.parametrize('level', LEVELS)
def test_blur_is_a_gaussian_of_that_kernel(level):
    size = PUBLISHED['blur'][level - 1]
    impulse = np.zeros((61, 61, 3), np.uint8)
    impulse[30, 30] = 255
    k = np.exp(-0.5 * ((np.arange(size) - size // 2) / (size / 6)) ** 2)
    k = np.pad(k / k.sum(), 30 - size // 2)
    assert (
        np.abs(distort([impulse], 'blur', level)[0] - 255 * (k[:, None] * k)[..., None]).max()
        < 1.5
    )
    image = colours()
    assert np.array_equal(
        distort([image], 'blur', level)[0], cv2.GaussianBlur(image, (size, size), size / 6)
    )


@pytest.mark.parametrize('level', LEVELS)
def test_pixelation_goes_through_so_few_pixels(level):
    factor, image = PUBLISHED['pixelation'][level - 1], colours(120, 180)

    def linear(a, n):  # bilinear along axis 0, samples at pixel centres, edges repeated
        x = np.clip((np.arange(n) + 0.5) * len(a) / n - 0.5, 0, len(a) - 1)
        lo = np.floor(x).astype(int)
        hi = np.minimum(lo + 1, len(a) - 1)
        return a[lo] + (x - lo)[:, None, None] * (a[hi] - a[lo])

    def both(a, h, w):
        return linear(linear(a, h).swapaxes(0, 1), w).swapaxes(0, 1)

    small = both(image.astype(float), 120 // factor, 180 // factor)
    out = distort([image], 'pixelation', level)[0]
    assert np.abs(out - both(small, 120, 180)).max() < 2.5
    for channel in np.moveaxis(out.astype(float), -1, 0):
        s = np.linalg.svd(channel, compute_uv=False)
        assert s[120 // factor :].max(initial=0) < 0.02 * s[1]


@pytest.mark.parametrize('level', LEVELS)
def test_jpeg_decodes_to_the_same(level, frames):
    quality = DISTORTIONS['jpeg'][level - 1]
    out = distort(frames[:1], 'jpeg', level)[0]
    data = cv2.imencode('.jpg', frames[0][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    assert data[:3].tobytes() == b'\xff\xd8\xff'
    assert np.array_equal(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], out)
    assert (
        np.abs(out.astype(int) - frames[0]).mean() < 8
    )  # a swap of red and blue would be far off


@pytest.mark.parametrize('level', LEVELS)
def test_video_is_a_stream_of_that_crf(level, frames, tmp_path):
    crf = PUBLISHED['video'][level - 1]
    path = write_video(tmp_path / 'v.mp4', frames, 25, crf=crf)
    assert (
        f' crf={crf}.0 '.encode() in path.read_bytes()
        and encoder_settings(path)['crf'] == f'{crf}.0'
    )
    assert same(distort(frames, 'video', level), [f.image for f in read_frames(path)])


@pytest.mark.parametrize('name', COMPRESSIONS)
def test_compressions_by_the_encoders_own_account(name, frames, tmp_path):
    path = write_video(tmp_path / 'v.mp4', frames, 25, crf=COMPRESSIONS[name])
    note, said = path.read_bytes(), encoder_settings(path)
    wanted = dict(raw=('cqp', None, '0'), c23=('crf', '23.0', None), c40=('crf', '40.0', None))[
        name
    ]
    assert (said['rc'], said.get('crf'), said.get('qp')) == wanted
    assert (f' crf={wanted[1]} ' if wanted[1] else ' qp=0').encode() in note


def test_no_note_and_no_video(frames, tmp_path):
    path = write_video(tmp_path / 'v.mp4', frames, 25)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'x264 - core', b'y264 - core'))
    assert len(list(read_frames(path))) == len(frames) and encoder_settings(path) == {}
    path.write_bytes(b'not a video at all')
    with pytest.raises(VideoError, match='v.mp4'):
        encoder_settings(path)


@pytest.mark.parametrize('kind', DISTORTIONS)
def test_any_size_any_level_and_nothing_in_place(kind, frames):
    kept = [f.copy() for f in frames]
    for level in LEVELS:
        out = distort(frames, kind, level)
        assert same(out, distort(frames, kind, level)) and not same(out, frames)
        for size in ((37, 53), (16, 17), (5, 7)):
            small = [colours(*size)] * 2
            assert [(f.shape, f.dtype) for f in distort(small, kind, level)] == [
                ((*size, 3), np.uint8)
            ] * 2
    assert same(frames, kept)
    assert distort([], kind, 1) == []


@pytest.mark.parametrize('kind', ['block', 'noise'])
def test_draws_belong_to_seed_and_frame(kind):
    clip = [np.full((64, 64, 3), 90, np.uint8)] * 3
    out = distort(clip, kind, 3, seed=5)
    assert same(out, distort(clip, kind, 3, seed=np.random.default_rng(5)))
    assert same(out[:2], distort(clip[:2], kind, 3, seed=5))
    assert not same(out, distort(clip, kind, 3, seed=6))
    assert not np.array_equal(out[0], out[1])


@pytest.mark.parametrize('kind', DISTORTIONS)
def test_a_higher_level_is_worse(kind, frames):
    error = [
        np.mean((np.stack(distort(frames, kind, n)).astype(float) - np.stack(frames)) ** 2)
        for n in LEVELS
    ]
    assert (np.diff(error) > 0).all()


@pytest.mark.parametrize(
    'kind,level,said',
    [
        ('sepia', 1, 'sepia'),
        ('blur', 0, 'level 0'),
        ('blur', 6, 'level 6'),
        ('blur', 2.5, 'level 2.5'),
        ('blur', '3', 'level 3'),
    ],
)
def test_unknown_kind_or_level(kind, level, said):
    for clip in ([], [colours()]):
        with pytest.raises(UsageError, match=said):
            distort(clip, kind, level)


def test_frames_that_are_none():
    for bad in (colours().astype(float) / 255, colours()[..., 0], np.zeros((8, 8, 4), np.uint8)):
        with pytest.raises(UsageError, match='uint8'):
            distort([bad], 'blur', 1)
    with pytest.raises(UsageError, match='one size'):
        distort([colours(32, 32), colours(32, 48)], 'video', 1)
