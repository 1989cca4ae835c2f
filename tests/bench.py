"""Speed, measured side by side in one process (`make bench`): a table of ratios."""

import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data/sample/talking_head.mp4"


def seconds(f, repeat=3):
    "Best of a few runs, in seconds, after one that is not counted."
    f()
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        f()
        best = min(best, time.perf_counter() - start)
    return best


def rendering():
    "Our rasteriser against ray casting with trimesh, and whole frames by the second."
    import trimesh
    from threedad.morphable import MorphableModel, euler_to_matrix, project
    from threedad.raster import rasterize, weld
    from threedad.render import Surface, render, render_batch

    model, size = MorphableModel.load(), 128
    p = project(model.mean, 30.0, euler_to_matrix(0.2, 0.1, 0), np.array([64.0, 64.0])).astype(
        np.float32
    )
    ours = seconds(lambda: rasterize(p, model.faces, size, size), 10)
    mesh = trimesh.Trimesh(p, model.faces, process=False)
    y, x = np.mgrid[0:size:8, 0:size:8] + 0.5
    origins = np.stack([x.ravel(), y.ravel(), np.full(x.size, 1e3)], 1)
    rays = (
        seconds(
            lambda: mesh.ray.intersects_first(origins, np.tile([0.0, 0, -1], (len(origins), 1))), 1
        )
        * 64
    )
    rows = [
        (
            "z-buffer, 128 px",
            f"{1 / ours:.0f} images/s",
            f"{rays / ours:.0f} x ray casting (extrapolated from every 64th ray)",
        )
    ]
    p = project(model.mean, 54.0, euler_to_matrix(0.4, 0.1, 0), np.array([112.0, 116.0])).astype(
        np.float32
    )
    texture, join = (
        np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8),
        weld(model.mean),
    )
    one = seconds(lambda: render(p, model.faces, (224, 224), Surface(model.uv, texture, join)), 30)
    many = (
        seconds(
            lambda: render_batch(
                np.repeat(p[None], 32, 0),
                model.faces,
                (224, 224),
                Surface(model.uv, texture, join),
                threads=2,
            ),
            5,
        )
        / 32
    )
    V, F = trimesh.remesh.subdivide(np.c_[p, model.uv], model.faces)
    V, F = trimesh.remesh.subdivide(
        V, F, np.argsort(-V[F, 2].mean(1))[:12_700]
    )  # as large as 3DDFA's BFM: 38 k vertices, 76 k triangles
    q, uv, F = np.float32(V[:, :3]), np.float32(V[:, 3:]), np.int32(F)
    drawn, alone = (
        seconds(lambda: render(q, F, (224, 224), Surface(uv, texture)), 20),
        seconds(lambda: rasterize(q, F, 224, 224), 20),
    )
    return rows + [
        (
            "textured and shaded, 224 px",
            f"{1 / one:.0f} frames/s",
            f"{1e9 * one / len(model.faces):.0f} ns a triangle",
        ),
        (
            "a batch of 32 on two threads",
            f"{1 / many:.0f} frames/s",
            f"{one / many:.2f} x one by one",
        ),
        (
            f"textured and shaded, {len(F):,} triangles",
            f"{1e3 * drawn:.1f} ms",
            f"{drawn / 4e-3:.2f} x Sim3DR's stated 4 ms",
        ),
        (
            f"rasterised only, {len(F):,} triangles",
            f"{1e3 * alone:.1f} ms",
            f"{alone / 4e-3:.2f} x Sim3DR's stated 4 ms",
        ),
    ]


def half_hd(path, repeat=20):
    "The sample person at 854 x 480, 960 frames at 25 a second."
    import cv2
    from threedad.video import read_frames, write_video

    faces = [
        cv2.resize(f.image, (480, 480), interpolation=cv2.INTER_CUBIC) for f in read_frames(SAMPLE)
    ]
    scene = cv2.resize(
        np.random.default_rng(0).integers(60, 160, (30, 54, 3), dtype=np.uint8),
        (854, 480),
        interpolation=cv2.INTER_CUBIC,
    )

    def frames():
        for i in range(repeat):
            for face in faces[:: 1 - 2 * (i % 2)]:
                scene[:, 187:667] = face
                yield scene.copy()

    return write_video(path, frames(), 25)


def tracking_480p():
    "Whole videos of 854 x 480, decoding and start included: one process, then two on two copies."
    import cv2, shutil, tempfile
    from threedad.workers import pooled
    from threedad.tracking import track, track_into

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        path, n, cpu = half_hd(Path(folder) / "0.mp4"), 960, []

        def one():
            start = time.process_time()
            track(path, progress=False)
            cpu.append(time.process_time() - start)

        wall = seconds(one)
        jobs = [
            dict(
                path=str(shutil.copy(path, Path(folder) / f"{i}.mp4")),
                track=str(Path(folder) / f"{i}.npz"),
                stop=None,
            )
            for i in range(1, 7)
        ]
        ends = []
        for _ in pooled(track_into, jobs, 2, 600):
            ends.append(time.perf_counter())
        two = (
            (len(ends) - 2) * n / (ends[-1] - ends[1])
        )  # from the end of the first pair: the workers' start is not counted
    cv2.setNumThreads(threads)
    return [
        (
            "track 480p, one process",
            f"{n / wall:.0f} frames/s",
            f"{n / min(cpu):.0f} frames/s of processor time",
        ),
        ("track 480p, two processes", f"{two:.0f} frames/s", f"{two * wall / n:.2f} x one"),
    ]


def tracking():
    from dataclasses import replace
    from threadpoolctl import threadpool_limits
    from threedad.fit import fit
    from threedad.video import read_frames
    from threedad.tracking import track

    n = sum(1 for _ in read_frames(SAMPLE))
    decode = seconds(lambda: sum(1 for _ in read_frames(SAMPLE)), 2)
    both = seconds(lambda: track(SAMPLE, progress=False), 2)
    tracked = track(SAMPLE, progress=False)
    rows = np.resize(np.arange(n), 300)
    long = replace(
        tracked,
        frame=np.arange(300),
        time=np.arange(300) / 25,
        points=tracked.points[rows],
        score=tracked.score[rows],
        shot=None,
    )
    with threadpool_limits(1):
        fitting = seconds(lambda: fit(long))
    return [
        ("decode, 256 px", f"{n / decode:.0f} frames/s", ""),
        ("decode and track", f"{n / both:.0f} frames/s", f"{both / decode:.1f} x decoding alone"),
        (
            "fit 300 frames, one core",
            f"{fitting:.2f} s",
            f"{fitting / 300 / (both / n):.2f} x decoding and tracking a frame",
        ),
    ]


def synthesis():
    "Finished 256 px frames of a performance and its six forgeries, encoding included, in one process."
    import cv2, itertools, tempfile
    from threedad.synthset import synthesize
    from threedad.performance import Performance
    from threedad.people import Person
    from threedad.synth import Scene, render_video

    threads, n, seeds = cv2.getNumThreads(), 48, itertools.count()
    with tempfile.TemporaryDirectory() as folder:
        made = seconds(
            lambda: synthesize(
                f"{folder}/{next(seeds)}",
                people=2,
                videos=1,
                frames=n,
                seed=3,
                workers=1,
                progress=False,
            ),
            2,
        ) / (7 * n)
    cv2.setNumThreads(1)
    drawn = (
        seconds(
            lambda: render_video(Person.sample(1), Performance.sample(2, n), Scene.sample(3)), 2
        )
        / n
    )
    cv2.setNumThreads(threads)
    return [
        (
            "synthesise and forge, 256 px",
            f"{1 / made:.0f} finished frames/s",
            f"{made / drawn:.2f} x rendering a frame",
        )
    ]


def detector():
    from threedad.detector import Detector

    rows, base = [], None
    for preset, side in (("tiny", 136), ("paper", 224)):
        net, clips = Detector(preset).eval(), torch.rand(2, 4, 3, side, side)
        with torch.no_grad():
            t = seconds(partial(net.score, clips), 2) / 2
        base = base or t
        rows.append((f"score a clip, {preset}", f"{1 / t:.1f} clips/s", f"{t / base:.1f} x tiny"))
    return rows


if __name__ == "__main__":
    rows = rendering() + tracking() + tracking_480p() + synthesis() + detector()
    print(pd.DataFrame(rows, columns=["what", "speed", "ratio"]).to_string(index=False))
