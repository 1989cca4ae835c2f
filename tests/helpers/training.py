"""Toy clips, a small detector and training runs in processes of their own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open

from threedad.batches import TOY_DETECTOR

TESTS = Path(__file__).resolve().parents[1]

SMALL = TOY_DETECTOR
RUN = dict(epochs=2, texture_epochs=1, batch_size=4, clips_per_epoch=32, quiet=True, **SMALL)


class Clips:
    """A fake clip has no noise in its middle. Items of one video share a label."""

    def __init__(self, videos, clips=4, seed=0, size=76, contrast=0.05):
        r = np.random.default_rng(seed)
        self.rows, self.clips = [], []
        for v in range(videos):
            for k in range(clips):
                noise = r.normal(0, contrast, (4, 3, size, size))
                if v % 2:
                    noise[..., 16:60, 16:60] *= 0.1
                picture = (noise + r.uniform(0.3, 0.7, (3, 1, 1))).clip(0, 1)
                self.clips.append(torch.from_numpy((picture * 255).astype("uint8")))
                self.rows.append((f"v{v:03}", k, 8 * k, v % 2))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, k):
        video_id, clip, first, label = self.rows[k]
        known = dict(label=label, video_id=video_id, clip_index=clip, first_frame=first)
        return dict(clip=self.clips[k], **known)


def data():
    """Clips of eight people to learn from and of four to be judged by."""
    return dict(train=Clips(8), val=Clips(4, 2, seed=1))


def relabelled(clips, label, items=slice(0, 4)):
    """The same clips, some of them with another label."""
    for k in range(len(clips))[items]:
        clips.rows[k] = (*clips.rows[k][:3], label)
    return clips


def tensors(path):
    """Everything in a safetensors file."""
    with safe_open(str(path), framework="pt") as f:
        return {k: f.get_tensor(k) for k in f.keys()}


def history(folder):
    """What a run logged, without how long it took."""
    table = pd.read_parquet(folder / "history.parquet")
    return table.drop(columns=["seconds", "clips_per_second"])


def assert_same_run(a, b):
    """Two runs wrote the same bits."""
    for name in ("best.safetensors", "state.safetensors"):
        x, y = tensors(a / name), tensors(b / name)
        assert x.keys() == y.keys()
        for k in x:
            assert torch.equal(x[k], y[k]), (name, k)
    pd.testing.assert_frame_equal(history(a), history(b), check_exact=True)


def child(code, **env):
    """A Python process that can import the library and these helpers; one thread."""
    path = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", "import torch\ntorch.set_num_threads(1)\n" + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS="1") | env,
    )


def group(code, processes=2):
    """The same code in several processes that form a gloo group; what each printed."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    shared = dict(WORLD_SIZE=str(processes), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    shared |= dict(ACCELERATE_USE_CPU="true", CUDA_VISIBLE_DEVICES="")
    ranks = [dict(RANK=str(r), LOCAL_RANK=str(r)) for r in range(processes)]
    running = [child(code, **shared, **rank) for rank in ranks]
    try:
        said = [p.communicate(timeout=300) for p in running]
    finally:
        for p in running:
            p.kill()
    for p, (_, err) in zip(running, said):
        assert p.returncode == 0, err[-3000:]
    return [out for out, _ in said]
