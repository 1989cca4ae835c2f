"""Short training runs on clips made of noise, and what they leave behind."""

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open

SMALL = dict(
    analysis_width=0.125,
    analysis_size=40,
    texture_size=72,
    texture_layers=(1, 1, 1, 1),
    texture_planes=(8, 8, 16, 16),
    texture_stem=(8, 8, 8),
    channels=32,
)
RUN = dict(epochs=2, texture_epochs=1, batch_size=4, clips_per_epoch=32, quiet=True, **SMALL)


class Clips:
    """Clips of noise: a fake one has none in its middle. Items of one video share a label."""

    def __init__(self, videos, clips=4, seed=0, size=76, contrast=0.05):
        r, rows, self.clips = np.random.default_rng(seed), [], []
        for v in range(videos):
            for k in range(clips):
                noise = r.normal(0, contrast, (4, 3, size, size))
                if v % 2:
                    noise[..., 16:60, 16:60] *= 0.1
                light = r.uniform(0.3, 0.7, (3, 1, 1))
                clip = ((noise + light).clip(0, 1) * 255).astype('uint8')
                self.clips.append(torch.from_numpy(clip))
                rows.append((f'v{v:03}', k, 8 * k, v % 2))
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, k):
        names = 'video_id', 'clip_index', 'first_frame', 'label'
        return dict(zip(names, self.rows[k]), clip=self.clips[k])


def data():
    return dict(train=Clips(8), val=Clips(4, 2, seed=1))


def tensors(path):
    with safe_open(str(path), framework='pt') as f:
        return {k: f.get_tensor(k) for k in f.keys()}


def history(folder):
    table = pd.read_parquet(folder / 'history.parquet')
    return table.drop(columns=['seconds', 'clips_per_second'])


def same_run(a, b):
    """Whether two runs have left the same bits."""
    for name in ('best.safetensors', 'state.safetensors'):
        x, y = tensors(a / name), tensors(b / name)
        assert x.keys() == y.keys()
        for k in x:
            assert torch.equal(x[k], y[k]), (name, k)
    pd.testing.assert_frame_equal(history(a), history(b), check_exact=True)
