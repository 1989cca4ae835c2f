"""Files to frames and back: what a player shows, when it shows it, and whether a file is whole."""

import struct
import warnings
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers import videos

from threedad import video
from threedad.core import UsageError, VideoError
from threedad.video import crop, probe, read_frames, write_video


def seen(path, **how):
    """Images, times and notes of a file."""
    notes = []
    frames = list(read_frames(path, report=notes.append, **how))
    return [f.image for f in frames], np.array([f.time for f in frames]), notes


def apart(a, b):
    return np.abs(np.asarray(a, float) - np.asarray(b, float)).mean()


def boxes(content, lo, hi):
    while lo + 8 <= hi:
        n = struct.unpack('>I', content[lo : lo + 4])[0]
        yield content[lo + 4 : lo + 8], lo, lo + n
        lo += n


MATRICES = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)]
MATRICES += [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]


@pytest.mark.parametrize('matrix', MATRICES)
@pytest.mark.parametrize('suffix', ['mp4', 'mov'])
def test_all_eight_orientations(matrix, suffix, tmp_path):
    a, b, c, d = matrix
    image = next(videos.film(1))
    stored = image.transpose(1, 0, 2) if b else image
    stored = stored[:: c if b else 1, :: b if b else a]
    stored = stored if b else stored[::d]
    whole = [65536 * v for v in (a, b, 0, c, d, 0)] + [0, 0, 2**30]
    path = videos.coded(tmp_path / f'x.{suffix}', [stored] * 3, matrix=whole)
    images, _, notes = seen(path)
    info = probe(path)
    assert apart(images[0], image) < 6 and images[0].shape == (info.height, info.width, 3)
    assert not notes and info.mirrored == (a * d - b * c < 0)


@pytest.mark.parametrize('sar', ['64/45', '16/15', '10/11', '4/3', '1/2'])
@pytest.mark.parametrize('suffix', ['mp4', 'mkv', 'avi'])
def test_pixels_come_out_square(sar, suffix, tmp_path):
    sar = Fraction(sar)
    codec = 'mpeg4' if suffix == 'avi' else 'libx264'
    path = videos.coded(tmp_path / f'x.{suffix}', videos.film(3), codec=codec, sar=sar)
    images, _, notes = seen(path)
    h, w = images[0].shape[:2]
    assert w / h == pytest.approx(128 * sar / 96, rel=0.02) and w % 2 == h % 2 == 0
    assert w >= 128 and h >= 96 and not notes
    assert (probe(path).width, probe(path).height) == (w, h)
    again = probe(write_video(tmp_path / 'again.mp4', read_frames(path), 25))
    assert (again.width, again.height) == (w, h)


@pytest.mark.parametrize('part', [(64, 48, 16, 8), (128, 72, 0, 0), (96, 96, -16, 0)])
def test_only_the_part_that_is_meant_is_shown(part, tmp_path):
    w, h, x, y = part
    content = bytearray(videos.coded(tmp_path / 'x.mp4', videos.film(3)).read_bytes())
    lo, hi, sizes = 0, len(content), []
    for name in (b'moov', b'trak', b'mdia', b'minf', b'stbl', b'stsd', b'avc1'):
        _, start, hi = next(box for box in boxes(content, lo, hi) if box[0] == name)
        sizes.append(start)
        lo = start + (16 if name == b'stsd' else 8)
    for at in sizes:
        content[at : at + 4] = struct.pack('>I', struct.unpack('>I', content[at : at + 4])[0] + 40)
    content[hi:hi] = struct.pack('>I4s8i', 40, b'clap', w, 1, h, 1, x, 1, y, 1)
    path = tmp_path / 'clap.mp4'
    path.write_bytes(content)
    left, top = (128 - w) // 2 + x, (96 - h) // 2 + y
    whole, cut = seen(tmp_path / 'x.mp4')[0][0], seen(path)[0][0]
    np.testing.assert_array_equal(cut, whole[top : top + h, left : left + w])
    assert (probe(path).width, probe(path).height) == (w, h)


@pytest.mark.parametrize('second', [(64, 48), (96, 128), (160, 48)])
def test_a_new_size_keeps_its_shape(second, tmp_path):
    h, w = second
    parts = [list(videos.film(12)), [np.full((h, w, 3), 200, np.uint8)] * 12]
    content = b''
    for i, images in enumerate(parts):
        content += videos.container(tmp_path / f'{i}.ts', 'ts', images).read_bytes()
    path = tmp_path / 'both.ts'
    path.write_bytes(content)
    images, times, notes = seen(path)
    lit = images[-1][..., 1] > 120
    rows, columns = lit.any(1).sum(), lit.any(0).sum()
    assert {i.shape for i in images} == {(96, 128, 3)} and len(images) == 24
    assert columns / rows == pytest.approx(w / h, rel=0.05) and any('size' in n for n in notes)


@pytest.mark.parametrize(
    'codec, options',
    [('libx264', 'tff=1'), ('libx264', 'bff=1'), ('mpeg2video', ''), ('mpeg4', '')],
)
def test_combs_are_filled_in(codec, options, tmp_path):
    def comb(image):
        rows = image[..., 1].astype(float)
        return np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean()

    fields, woven = list(videos.film(48)), []
    for first, second in zip(fields[::2], fields[1::2]):
        first, second = (second, first) if options == 'bff=1' else (first, second)
        woven.append(first.copy())
        woven[-1][1::2] = second[1::2]
    how = {'x264-params': options} if options else {'flags': '+ildct+ilme', 'b': '4M'}
    path = videos.coded(tmp_path / 'x.mkv', woven, codec=codec, options=how)
    images, times, notes = seen(path)
    assert len(images) == 24 and any('interlaced' in n for n in notes) and len(notes) == 1
    np.testing.assert_allclose(times, np.arange(24) / 25, atol=1e-3)
    excess = [comb(i) - comb(f) for i, f in zip(images, fields[::2])]
    assert np.mean(excess[2:-2]) < 0.35 * np.mean(
        [comb(i) - comb(f) for i, f in zip(woven, fields[::2])]
    )


def light(colour):
    v = np.array(colour) / 255
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return (
        np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.088, 0.8956]])
        @ linear
    )


def pq(v):
    y = (0.0203 * v) ** (1305 / 8192)
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** (2523 / 32)


def hlg(v):
    e = (0.203 * v) ** (1 / 1.2)
    return np.where(
        e <= 1 / 12,
        np.sqrt(3 * e),
        0.17883277 * np.log(np.maximum(12 * e - 0.28466892, 1e-9)) + 0.55991073,
    )


def ten_bit(path, code, codec, trc, primaries, matrix):
    """A plain colour in 10 bits: Y, Cb, Cr by the matrix's numbers."""
    kr, kb = dict(bt2020nc=(0.2627, 0.0593), bt709=(0.2126, 0.0722))[matrix]
    r, g, b = code
    y = kr * r + (1 - kr - kb) * g + kb * b
    planes = [64 + 876 * y, 512 + 896 * (b - y) / (2 - 2 * kb), 512 + 896 * (r - y) / (2 - 2 * kr)]
    tags = dict(color_trc=trc, color_primaries=primaries, colorspace=9 if matrix != 'bt709' else 1)
    with av.open(str(path), 'w') as container:
        log = {'x265-params': 'log-level=none:lossless=1'} if codec == 'libx265' else {'crf': '5'}
        stream = container.add_stream(codec, rate=25, options=log)
        stream.width = stream.height = 64
        stream.pix_fmt, context = 'yuv420p10le', stream.codec_context
        context.color_trc, context.color_primaries = trc, primaries
        context.colorspace, context.color_range = tags['colorspace'], 1
        for _ in range(3):
            frame = av.VideoFrame(64, 64, 'yuv420p10le')
            for plane, value in zip(frame.planes, planes):
                wide = plane.line_size // 2
                plane.update(np.full((plane.height, wide), round(value), np.uint16).tobytes())
            frame.color_range = 1
            for name, value in tags.items():
                setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize('name, curve, trc', [('PQ', pq, 16), ('HLG', hlg, 18)])
@pytest.mark.parametrize(
    'codec, suffix', [('libx265', 'mp4'), ('libx265', 'mkv'), ('libx264', 'mp4')]
)
@pytest.mark.parametrize('colour', [(200, 150, 120), (90, 90, 90), (60, 40, 30)])
def test_hdr_becomes_what_a_screen_shows(name, curve, trc, codec, suffix, colour, tmp_path):
    path = ten_bit(tmp_path / f'x.{suffix}', curve(light(colour)), codec, trc, 9, 'bt2020nc')
    images, _, notes = seen(path)
    assert np.abs(images[0][32, 32].astype(int) - colour).max() <= 4
    assert len(notes) == 1 and f'HDR ({name})' in notes[0]


@pytest.mark.parametrize('codec', ['libx265', 'libx264'])
@pytest.mark.parametrize('colour', [(200, 150, 120), (90, 90, 90), (240, 20, 60)])
def test_ten_bits_alone_are_no_hdr(codec, colour, tmp_path):
    path = ten_bit(tmp_path / 'x.mp4', np.array(colour) / 255, codec, 1, 1, 'bt709')
    images, _, notes = seen(path)
    assert np.abs(images[0][32, 32].astype(int) - colour).max() <= 3 and not notes


def two(path, marked, covers=0):
    """Two films of different sizes, and JPEG covers before them."""
    with av.open(str(path), 'w') as container:
        streams = []
        for i, size in enumerate([32] * covers + [64, 128]):
            stream = container.add_stream('mjpeg' if i < covers else 'libx264', rate=25)
            stream.width = stream.height = size
            stream.pix_fmt = 'yuvj420p' if i < covers else 'yuv420p'
            kind = av.stream.Disposition
            stream.disposition = (
                kind.attached_pic if i < covers else kind.default if size == marked else kind(0)
            )
            streams.append(stream)
        for t in range(12):
            for i, stream in enumerate(streams):
                if i >= covers or t == 0:
                    image = np.full((stream.height, stream.width, 3), 120, np.uint8)
                    frame = av.VideoFrame.from_ndarray(image, 'rgb24')
                    frame.pts, frame.time_base = t, Fraction(1, 25)
                    container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize('marked', [64, 128])
@pytest.mark.parametrize('suffix, covers', [('mkv', 0), ('mp4', 0), ('mp4', 1)])
def test_the_stream_that_a_player_shows(marked, suffix, covers, tmp_path):
    path = two(tmp_path / f'x.{suffix}', marked, covers)
    images, _, _ = seen(path)
    assert len(images) == 12 and images[0].shape[0] == probe(path).width == marked


def with_sound(path, seconds, form=None):
    with av.open(str(path), 'w', format=form) as container:
        picture = container.add_stream('libvpx' if path.suffix == '.webm' else 'libx264', rate=25)
        picture.height, picture.width, picture.pix_fmt = 96, 128, 'yuv420p'
        sound = container.add_stream(
            'libopus' if path.suffix == '.webm' else 'aac', rate=48000, layout='mono'
        )
        for image in videos.film(24):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image, 'rgb24')))
        container.mux(picture.encode())
        size = sound.codec_context.frame_size or 960
        form = 'fltp' if path.suffix != '.webm' else 's16'
        for i in range(round(48000 * seconds / size)):
            samples = np.zeros((1, size), np.float32 if form == 'fltp' else np.int16)
            frame = av.AudioFrame.from_ndarray(samples, form, 'mono')
            frame.sample_rate, frame.pts = 48000, size * i
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


@pytest.mark.parametrize('seconds', [0.3, 4, 12])
@pytest.mark.parametrize('suffix', ['mp4', 'mkv', 'webm', 'mov', 'ts'])
def test_sound_says_nothing_of_the_picture(seconds, suffix, tmp_path):
    images, _, notes = seen(with_sound(tmp_path / f'x.{suffix}', seconds))
    assert len(images) == 24 and not notes


@pytest.mark.parametrize('keep', [4, 12, 20])
def test_what_an_edit_list_hides_is_not_missing(keep, tmp_path):
    content = bytearray(videos.container(tmp_path / 'x.mp4', 'mp4').read_bytes())
    at = content.index(b'elst')
    content[at + 12 : at + 16] = struct.pack('>I', 1000 * keep // 25)
    path = tmp_path / 'trimmed.mp4'
    path.write_bytes(content)
    images, times, notes = seen(path)
    assert abs(len(images) - keep) <= 3 and not notes
    assert probe(path).frames == len(images) and probe(path).duration == pytest.approx(
        len(images) / 25
    )


@pytest.mark.parametrize('steps', [[0.04, 0.04, 0.12], [0.033, 0.034, 0.2], [0.04] * 7 + [2.0]])
@pytest.mark.parametrize('suffix', ['mp4', 'mkv', 'ts'])
def test_a_variable_rate_is_whole_and_kept(steps, suffix, tmp_path):
    times = np.cumsum([0] + steps * 4)
    path = videos.coded(tmp_path / f'x.{suffix}', videos.film(len(times)), times=times)
    _, found, notes = seen(path)
    np.testing.assert_allclose(found, times, atol=2e-3)
    info = probe(path)
    assert not notes and 1 / info.fps == pytest.approx(np.median(steps), abs=1e-3)
    assert info.duration == pytest.approx(times[-1] + 1 / info.fps, abs=3e-3)


@pytest.mark.parametrize('rate', [1000, 90000, 12])
def test_the_stated_rate_decides_nothing(rate, tmp_path):
    times = np.round(np.arange(30) / 30, 3)
    path = videos.coded(
        tmp_path / 'x.webm', videos.film(30), codec='libvpx', rate=rate, times=times
    )
    assert probe(path).fps == pytest.approx(30, rel=0.01) and not seen(path)[2]


def shifted(path, source, ticks, form='mpegts'):
    """Copy the packets of a file with other time stamps, written as they are."""
    with av.open(str(source)) as first, av.open(str(path), 'w', format=form) as out:
        stream = out.add_stream_from_template(first.streams.video[0])
        for packet in first.demux(video=0):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = (
                    packet.pts + ticks,
                    packet.dts + ticks,
                    stream,
                )
                out.mux(packet)
    return path


@pytest.mark.parametrize('ticks', [0, 90000, 90000 * 3600, 2**33 - 90000 * 9, -60 * 90000])
def test_clocks_that_jump_go_on(ticks, tmp_path):
    start = max(0, -ticks)
    one = videos.container(tmp_path / 'one.ts', 'ts')
    parts = [shifted(tmp_path / f'{i}.ts', one, start + i * ticks).read_bytes() for i in (0, 1)]
    path = tmp_path / 'joined.ts'
    path.write_bytes(b''.join(parts))
    _, times, notes = seen(path)
    np.testing.assert_allclose(times, np.arange(96) / 25, atol=2e-3)
    info = probe(path)
    assert len(notes) == 1 and 'clock' in notes[0] and info.frames == 96
    assert info.fps == pytest.approx(25) and info.duration == pytest.approx(3.84, abs=0.01)


@pytest.mark.parametrize('before', [2, 4, 10])
def test_a_clock_that_wraps_goes_on(before, tmp_path):
    one = videos.container(tmp_path / 'one.ts', 'ts')
    path = shifted(tmp_path / 'wrapped.ts', one, 2**33 - 90000 * before // 10 - 2 * 63000)
    np.testing.assert_allclose(seen(path)[1], np.arange(48) / 25, atol=2e-3)
    assert probe(path).duration == pytest.approx(1.92, abs=0.01)


@pytest.mark.parametrize('kind', ['mp4', 'fragmented', 'mkv', 'avi', 'ts'])
def test_whole_files_get_no_note(kind, tmp_path):
    images, times, notes = seen(videos.container(tmp_path / 'x', kind))
    assert len(images) == 48 and not notes
    np.testing.assert_allclose(times, np.arange(48) / 25, atol=2e-3)


@pytest.mark.parametrize('kind', ['mp4', 'fragmented', 'mkv', 'avi', 'ts'])
@pytest.mark.parametrize('share', [0.4, 0.6, 0.8, 0.93])
def test_cut_files_say_so(kind, share, tmp_path):
    content = videos.container(tmp_path / 'x', kind).read_bytes()
    cut = tmp_path / 'cut'
    size = round(share * len(content))
    cut.write_bytes(content[: size + (size % 188 == 0)])
    images, _, notes = seen(cut)
    assert 0 < len(images) < 48 or kind == 'ts'
    assert len(notes) == 1 and f'truncated after frame {len(images)}' in notes[0]


@pytest.mark.parametrize('kind', ['mp4', 'mkv', 'avi'])
def test_damage_in_the_middle_is_said(kind, tmp_path):
    content = bytearray(videos.container(tmp_path / 'x', kind).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    path = tmp_path / 'damaged'
    path.write_bytes(content)
    images, _, notes = seen(path)
    assert images and len(notes) == 1 and ('damaged' in notes[0] or 'truncated' in notes[0])


@pytest.mark.parametrize('kind', videos.BROKEN)
def test_broken_files_are_one_line_errors(kind, tmp_path, capfd):
    path = videos.make(kind, tmp_path)
    for use in (probe, lambda p: list(read_frames(p))):
        with pytest.raises(VideoError) as e:
            use(path)
        assert str(e.value).startswith(f'{path}: ') and '\n' not in str(e.value)
    assert capfd.readouterr().err == ''


@pytest.mark.parametrize(
    'kind, word',
    dict(
        missing='no such file',
        folder='folder',
        empty='empty',
        text='not a video',
        playlist='not a video',
        no_index='cut off',
        audio='no video stream',
    ).items(),
)
def test_errors_name_the_cause(kind, word, tmp_path):
    with pytest.raises(VideoError, match=word):
        probe(videos.make(kind, tmp_path))


@pytest.mark.parametrize('kind', [k for k in videos.ODD if k != 'gif'])
def test_probe_agrees_with_decoding(kind, tmp_path):
    path = videos.make(kind, tmp_path)
    info, frames = probe(path), list(read_frames(path))
    assert frames[0].image.shape == (info.height, info.width, 3) and info.frames == len(frames)
    assert info.duration > 0 and info.fps > 0
    codec = dict(hevc='hevc', vp9='vp9', grey='ffv1', odd_size='ffv1', ten_bit='ffv1').get(
        kind, 'h264'
    )
    assert info.codec == codec and info.rotation == (270 if kind in ('rotated', 'phone') else 0)


def test_reading_a_part_does_not_warn(tmp_path):
    path = videos.make('sample', tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert [f.index for f in read_frames(path, 2, 11, 3)] == [2, 5, 8]
        assert [f.index for f in read_frames(path, step=5)] == [0, 5, 10]
        assert len(list(read_frames(path, stop=0))) == 0
        assert len(list(read_frames(path, stop=3))) == 3
    whole = list(read_frames(path))
    assert (next(read_frames(path, start=7)).image == whole[7].image).all()


def test_writing(tmp_path):
    frames = videos.face_frames()
    a, b = (
        write_video(tmp_path / n, frames, 30000 / 1001, metadata=dict(title='A', seed=3))
        for n in ('a.mp4', 'b.mp4')
    )
    assert a.read_bytes() == b.read_bytes() and probe(a).fps == pytest.approx(30000 / 1001)
    import av

    with av.open(str(a)) as c:
        assert c.metadata['title'] == 'A' and c.metadata['seed'] == '3'
    assert (
        next(
            read_frames(write_video(tmp_path / 'odd.mkv', [f[:-1, :-1] for f in frames], 25))
        ).image.shape
        == frames[0].shape
    )
    assert len(list(read_frames(write_video(tmp_path / 'again.mp4', read_frames(a), 25)))) == len(
        frames
    )


def test_failed_writing_leaves_nothing(tmp_path):
    def fails():
        yield videos.face_frames()[0]
        raise RuntimeError('out of paint')

    with pytest.raises(RuntimeError):
        write_video(tmp_path / 'x.mp4', fails(), 25)
    with pytest.raises(VideoError):
        write_video(tmp_path / 'x.mp4', [], 25)
    with pytest.raises(VideoError):
        write_video(
            tmp_path / 'x.mp4',
            [np.zeros((64, 64, 3), np.uint8), np.zeros((32, 64, 3), np.uint8)],
            25,
        )
    assert list(tmp_path.iterdir()) == []


def test_limits_hold(tmp_path, monkeypatch):
    path = videos.make('sample', tmp_path)
    monkeypatch.setattr(video, 'MAX_FRAMES', 5)
    with pytest.raises(VideoError, match='over 5 frames'):
        list(read_frames(path))
    assert len(list(read_frames(path, stop=5))) == 5
    monkeypatch.setattr(video, 'MAX_PIXELS', 1000)
    with pytest.raises(VideoError, match='over the limit'):
        probe(path)


def test_crops_sample_through_the_matrix():
    image = next(videos.film(1))
    same = crop(image, [[1, 0, 0], [0, 1, 0]], 96)
    np.testing.assert_array_equal(same, image[:, :96])
    np.testing.assert_array_equal(crop(image, [[1, 0, -20], [0, 1, -10]], 64), image[10:74, 20:84])
    half = crop(image, [[0.5, 0, 0], [0, 0.5, 0]], 48)
    assert apart(half, image[:, :96].reshape(48, 2, 48, 2, 3).mean((1, 3))) < 1
    with pytest.raises(UsageError):
        crop(image, np.full((2, 3), np.nan))
