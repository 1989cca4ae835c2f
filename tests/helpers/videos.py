"""Makers of good, odd and broken videos: `make(kind, folder)` for any kind in KINDS.

The face is the synthetic person of the sample clip.
"""

import functools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from threedad.video import read_frames, write_video

SAMPLE = Path(__file__).resolve().parents[2] / "data" / 'sample' / 'talking_head.mp4'


@functools.cache
def face_frames(n=12):
    return [f.image for f in read_frames(SAMPLE, stop=n)]


def encode(path, images, codec, pix_fmt, options=None, rotation=None):
    "Write frames with any of FFmpeg's encoders."
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for image in images:
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), 'rgb24'))
            )
        container.mux(stream.encode())
    return path


def repeat(source, path, times):
    "Play a video over and over, without encoding it again."
    with av.open(str(source)) as first, av.open(str(path), 'w') as out:
        video = first.streams.video[0]
        stream, length = out.add_stream_from_template(video), video.duration
        for i in range(times):
            first.seek(0)
            for packet in first.demux(video):
                if packet.dts is None:
                    continue
                packet.pts, packet.dts, packet.stream = (
                    packet.pts + i * length,
                    packet.dts + i * length,
                    stream,
                )
                out.mux(packet)
    return path


def full_hd(path, minutes):
    "Minutes of 1080p video of the sample person, at 24 frames a second."

    def scene(frame):
        image = np.full((1080, 1920, 3), 90, np.uint8)
        image[56:, 448:1472] = np.kron(frame, np.ones((4, 4, 1), np.uint8))
        return image

    frames = face_frames(48)
    eight = write_video(
        Path(path).with_name('eight_seconds.mp4'),
        map(scene, (frames + frames[::-1]) * 2),
        fps=24,
        preset='ultrafast',
    )
    return repeat(eight, path, round(60 * minutes / 8))


def standard_definition(path, frames):
    "That many frames of 480p video of the sample person, at 24 frames per second."
    shown = face_frames(48)
    shown = shown + shown[::-1]

    def scene(k):
        image = np.full((480, 854, 3), 90, np.uint8)
        image[112:368, 299:555] = shown[k % len(shown)]
        return image

    return write_video(path, map(scene, range(frames)), fps=24, preset='ultrafast')


def noise(n=40):
    return np.random.default_rng(0).integers(0, 255, (n, 96, 128, 3), dtype=np.uint8)


def _write(path, content):
    path.write_bytes(content)
    return path


def _folder(path):
    path.mkdir()
    return path


def _no_index(path):
    whole = encode(path.with_name('whole_index_last.mp4'), noise(), 'libx264', 'yuv420p')
    return _write(path, whole.read_bytes()[: whole.stat().st_size // 2])


def _truncated(path):
    whole = write_video(path.with_name('whole_index_first.mp4'), face_frames(), fps=25, crf=5)
    return _write(path, whole.read_bytes()[: whole.stat().st_size * 2 // 3])


def _damaged(path):
    whole = write_video(path.with_name('whole.mp4'), face_frames(), fps=25, crf=5)
    content = bytearray(whole.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = np.random.default_rng(0).bytes(4000)
    return _write(path, content)


def _audio(path):
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('aac', rate=16000, layout='mono')
        for i in range(16):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
            frame.sample_rate, frame.pts = 16000, 1024 * i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _two_faces(path):
    return write_video(path, [np.concatenate([f, f[:, ::-1]], 1) for f in face_frames()], fps=25)


@functools.cache
def cast(n=48):
    "Frames of 224 px of two synthetic people, from the sample store."
    import cv2, pandas as pd

    crops = pd.concat(
        map(pd.read_parquet, sorted((SAMPLE.parent / 'store' / 'crops').glob('*.parquet')))
    )
    wanted = sorted(i for i in crops.video_id.unique() if 'original' in i)[:2]
    return [
        [
            cv2.imdecode(np.frombuffer(j, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            for j in crops[crops.video_id == i].sort_values('frame').jpeg[:n]
        ]
        for i in wanted
    ]


def stand(scene, frame, x, side, y=10):
    "Paste a face, cut out along an oval, with its centre at x."
    import cv2

    v, u = (np.mgrid[:side, :side] + 0.5) / side
    oval = cv2.GaussianBlur(
        ((u - 0.5) ** 2 / 0.14 + (v - 0.5) ** 2 / 0.215 < 1).astype(np.float32), (0, 0), 2
    )[..., None]
    part = scene[y : y + side, round(x - side / 2) :][:, :side]
    part[:] = oval * cv2.resize(frame, (side, side)) + (1 - oval) * part


def crossing(n=90, front=1):
    "Two people walk past each other; one, then the other, in front."
    for t in range(n):
        scene = np.full((220, 600, 3), (90, 96, 110), np.uint8)
        walkers = [
            (cast()[0][t // 2], 110 + 380 * t / (n - 1)),
            (cast()[1][t // 2], 490 - 380 * t / (n - 1)),
        ]
        for face, x in walkers if front else walkers[::-1]:
            stand(scene, face, x, 190)
        yield scene


def _phone(path):  # portrait, stored sideways, at a rate between 24 and 60
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=60)
        stream.height, stream.width = np.rot90(face_frames()[0]).shape[:2]
        stream.pix_fmt, stream.codec_context.time_base = 'yuv420p', Fraction(1, 90000)
        stream.set_display_rotation(-90)
        for image, t in zip(face_frames(), PHONE):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(image)), 'rgb24')
            frame.pts, frame.time_base = round(90000 * t), Fraction(1, 90000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


BROKEN = dict(  # nothing to decode: an error
    missing=('missing.mp4', lambda p: p),
    folder=('folder.mp4', _folder),
    empty=('empty.mp4', lambda p: _write(p, b'')),
    text=('text.mp4', lambda p: _write(p, b'Dear Sir or Madam,\n' * 100)),
    playlist=(
        'playlist.mp4',
        lambda p: _write(p, f'#EXTM3U\n#EXTINF:1,\n{SAMPLE}\n#EXT-X-ENDLIST\n'.encode()),
    ),
    no_index=('no_index.mp4', _no_index),
    audio=('audio.mp4', _audio),
)
HALF = dict(  # something to decode, and something to report
    truncated=('truncated.mp4', _truncated), damaged=('damaged.mp4', _damaged)
)
FACELESS = dict(no_face=('no_face.mp4', lambda p: write_video(p, noise(), fps=25)))
ODD = dict(  # a face in every frame
    sample=('sample.mp4', lambda p: write_video(p, face_frames(), fps=25)),
    one_frame=('one_frame.mp4', lambda p: write_video(p, face_frames()[:1], fps=25)),
    odd_size=(
        'odd_size.mkv',
        lambda p: encode(p, [f[:-1, :-3] for f in face_frames()], 'ffv1', 'yuv444p'),
    ),
    vfr=('vfr.mp4', lambda p: write_video(p, face_frames(), fps=25, times=VFR)),
    hevc=(
        'hevc.mp4',
        lambda p: encode(
            p, face_frames(), 'libx265', 'yuv420p', {'x265-params': 'log-level=none'}
        ),
    ),
    vp9=(
        'vp9.webm',
        lambda p: encode(
            p, face_frames(), 'libvpx-vp9', 'yuv420p', {'cpu-used': '8', 'deadline': 'realtime'}
        ),
    ),
    ten_bit=('ten_bit.mkv', lambda p: encode(p, face_frames(), 'ffv1', 'yuv420p10le')),
    grey=('grey.mkv', lambda p: encode(p, face_frames(), 'ffv1', 'gray')),
    gif=('animated.gif', lambda p: encode(p, face_frames(), 'gif', 'rgb8')),
    rotated=(
        'rotated.mp4',
        lambda p: encode(
            p, [np.rot90(f) for f in face_frames()], 'libx264', 'yuv420p', rotation=-90
        ),
    ),
    two_faces=('two_faces.mp4', _two_faces),
    phone=('phone.mp4', _phone),
)
VFR = [0.04 * i if i < 6 else 0.04 * i + 0.1 * (i - 5) for i in range(12)]
PHONE = np.cumsum([0] + [1 / 24] * 5 + [1 / 60] * 6)
KINDS = {**BROKEN, **HALF, **FACELESS, **ODD}


def make(kind, folder):
    "Make one kind of file in a folder and return its path."
    name, maker = KINDS[kind]
    return Path(maker(Path(folder) / name))


def film(n=24, height=96, width=128, seed=0):
    "A square that crosses a picture of coarse noise, n times uint8 H x W x 3."
    noise = np.random.default_rng(seed).integers(60, 180, (height // 8, width // 8, 3))
    back = np.kron(noise, np.ones((8, 8, 1), int)).astype(np.uint8)
    for i in range(n):
        image = back.copy()
        x = (5 * i) % (width - 24)
        image[30:54, x : x + 24] = 230, 60, 40
        yield image


def coded(path, images, codec='libx264', pix_fmt='yuv420p', rate=25, times=None, sar=None, **how):
    "Encode images; `how` may hold matrix (nine int32), options, form and muxer (options)."
    options = how.get('options', {})
    with av.open(
        str(path), 'w', format=how.get('form'), options=how.get('muxer', {})
    ) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        images = [np.ascontiguousarray(image) for image in images]
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if sar:
            stream.codec_context.sample_aspect_ratio = sar
        if 'matrix' in how:
            stream.set_display_matrix(how['matrix'])
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 90000)
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, how.get('image', 'rgb24'))
            if times is not None:
                frame.pts, frame.time_base = round(90000 * times[i]), Fraction(1, 90000)
            for name, value in how.get('tags', {}).items():
                setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Path(path)


def container(path, kind, images=None):
    "The film in a container: mp4, fragmented, mkv, avi or ts."
    form = dict(mp4='mp4', fragmented='mp4', mkv='matroska', avi='avi', ts='mpegts')[kind]
    muxer = {'movflags': 'faststart'} if kind == 'mp4' else {}
    if kind == 'fragmented':
        muxer = {'movflags': 'frag_keyframe+empty_moov'}
    codec = 'mpeg4' if kind == 'avi' else 'libx264'
    options = {'g': '8', 'b': '3M'} if kind == 'avi' else {'g': '8', 'crf': '18'}
    images = list(images or film(48))
    return coded(path, images, codec=codec, form=form, muxer=muxer, options=options)
