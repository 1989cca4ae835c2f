"""Training survives `kill -9`, learns what is there, and nothing from shuffled labels."""

import os, signal, subprocess, sys, time
from pathlib import Path
import numpy as np, pandas as pd, pytest, torch
from safetensors import safe_open
from threedad.core import CheckpointError, UsageError
from threedad.detector import checkpoint_info
from threedad.predict import PREDICTION_COLUMNS, predict
from threedad.training import train

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
    "A fake clip has no noise in its middle. Items of one video share a label."

    def __init__(self, videos, clips=4, seed=0, size=76, contrast=0.05):
        r, rows, self.clips = np.random.default_rng(seed), [], []
        for v in range(videos):
            for k in range(clips):
                noise = r.normal(0, contrast, (4, 3, size, size))
                if v % 2:
                    noise[..., 16:60, 16:60] *= 0.1
                self.clips.append(
                    torch.from_numpy(
                        ((noise + r.uniform(0.3, 0.7, (3, 1, 1))).clip(0, 1) * 255).astype('uint8')
                    )
                )
                rows.append((f'v{v:03}', k, 8 * k, v % 2))
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, k):
        video_id, clip, first, label = self.rows[k]
        return dict(
            clip=self.clips[k], label=label, video_id=video_id, clip_index=clip, first_frame=first
        )


def data():
    return dict(train=Clips(8), val=Clips(4, 2, seed=1))


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp('whole')
    train(data(), out, seed=3, **RUN)
    return out


def tensors(path):
    with safe_open(str(path), framework='pt') as f:
        return {k: f.get_tensor(k) for k in f.keys()}


def same_run(a, b):
    for name in ('best.safetensors', 'state.safetensors'):
        x, y = tensors(a / name), tensors(b / name)
        assert x.keys() == y.keys()
        for k in x:
            assert torch.equal(x[k], y[k]), (name, k)
    x, y = (
        pd.read_parquet(d / 'history.parquet').drop(columns=['seconds', 'clips_per_second'])
        for d in (a, b)
    )
    pd.testing.assert_frame_equal(x, y, check_exact=True)


CHILD = '''
import sys, torch
torch.set_num_threads(1)
sys.path.insert(0, {here!r})
import test_training as t
from threedad import training
step = training._Run.step
def slow(self, *args):
    step(self, *args)
    print('step', self.at['step'], flush=True)
training._Run.step = slow
t.train(t.data(), {out!r}, seed=3, save_minutes=0, **t.RUN)
print('done', flush=True)
'''


def child(out):
    env = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(
            [str(Path(__file__).parent.parent), os.environ.get('PYTHONPATH', '')]
        ),
    )
    return subprocess.Popen(
        [sys.executable, '-c', CHILD.format(here=str(Path(__file__).parent), out=str(out))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )


@pytest.mark.parametrize(
    'kill_after', [(3,), (16, 20)], ids=['within an epoch', 'twice, at an epoch and within one']
)
def test_kill_9(whole, tmp_path, kill_after):
    "Killed for real, at any step, and called again: the same bits as the run that went through."
    for n in kill_after:
        p = child(tmp_path)
        for line in p.stdout:
            if line.strip() == f'step {n}':
                os.kill(p.pid, signal.SIGKILL)
                break
        assert p.wait() == -signal.SIGKILL, p.stderr.read()[-2000:]
    p = child(tmp_path)
    out, err = p.communicate()
    assert p.returncode == 0, err[-2000:]
    steps = [int(l.split()[1]) for l in out.splitlines() if l.startswith('step')]
    assert steps and steps[0] > 1 and steps[-1] == 32, steps
    same_run(whole, tmp_path)
    assert not [f for f in tmp_path.iterdir() if f.name.endswith('.tmp')]


def test_ctrl_c(whole, tmp_path, monkeypatch):
    from threedad import training

    step = training._Run.step

    def interrupted(self, *args):
        step(self, *args)
        if self.at['step'] == 5 and not seen:
            seen.append(1)
            os.kill(os.getpid(), signal.SIGINT)

    seen = []
    monkeypatch.setattr(training._Run, 'step', interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(data(), tmp_path, seed=3, **RUN)
    assert (
        signal.getsignal(signal.SIGINT) is before and not (tmp_path / 'best.safetensors').exists()
    )
    train(data(), tmp_path, seed=3, **RUN)
    same_run(whole, tmp_path)


def test_finished_run_is_not_repeated(whole):
    before = (whole / 'state.safetensors').stat().st_mtime_ns
    t = time.monotonic()
    net = train(data(), whole, seed=3, **RUN)
    assert (whole / 'state.safetensors').stat().st_mtime_ns == before and time.monotonic() - t < 20
    info = checkpoint_info(whole / 'best.safetensors')['training']
    assert (
        info['seed'] == 3
        and info['trained_on'] == '8 videos'
        and info['epoch'] in (2, 3)
        and not net.training
    )


def test_another_run_is_not_overwritten(whole):
    with pytest.raises(UsageError, match='another seed'):
        train(data(), whole, seed=4, **RUN)
    with pytest.raises(UsageError, match='another data|another training_clips'):
        train(dict(train=Clips(10), val=None), whole, seed=3, **RUN)


def test_seed_matters(whole, tmp_path):
    train(data(), tmp_path, seed=4, **RUN)
    a, b = tensors(whole / 'best.safetensors'), tensors(tmp_path / 'best.safetensors')
    assert not torch.equal(a['fusion.classifier.0.weight'], b['fusion.classifier.0.weight'])


def test_damaged_state(whole, tmp_path):
    (tmp_path / 'state.safetensors').write_bytes((whole / 'state.safetensors').read_bytes()[:5000])
    with pytest.raises(CheckpointError, match='delete it') as e:
        train(data(), tmp_path, seed=3, **RUN)
    assert '\n' not in str(e.value)


def test_learns_what_is_there_and_nothing_else(tmp_path):
    "The loss falls and unseen videos are ranked right; on shuffled labels they are not."
    sets = dict(train=Clips(60, 2), val=Clips(60, 1, seed=1))
    run = dict(epochs=6, texture_epochs=0, batch_size=8, lr=3e-3, quiet=True, **SMALL)
    net = train(sets, tmp_path / 'true', **run)
    h = pd.read_parquet(tmp_path / 'true' / 'history.parquet')
    assert h['loss'].iloc[-1] < 0.7 * h['loss'].iloc[0] and h['val_auc'].max() > 0.9, h
    p = predict(net, sets['val'])
    assert list(p.columns) == PREDICTION_COLUMNS and p['score'].between(0, 1).all()
    assert abs(p.groupby('label')['score'].mean().diff().iloc[-1]) > 0.1
    control = train(sets, tmp_path / 'shuffled', shuffle_labels=True, **run)
    c = pd.read_parquet(tmp_path / 'shuffled' / 'history.parquet')
    assert (
        abs(c['val_auc'].iloc[-1] - 0.5) < 0.3 and c['loss'].iloc[-1] > h['loss'].iloc[-1] + 0.1
    ), c
    assert 'shuffled' in control.training_info['trained_on']


@pytest.mark.parametrize(
    'kw, cause',
    [
        (dict(batch_size=5), 'even'),
        (dict(preset='huge'), 'unknown preset'),
        (dict(epochs=0), 'at least 1'),
        (dict(texture_size=224), 'do not meet'),
        (dict(nonsense=1), 'no setting'),
    ],
)
def test_bad_settings(tmp_path, kw, cause):
    with pytest.raises(UsageError, match=cause):
        train(data(), tmp_path / 'run', **{**RUN, **kw})
    assert not (tmp_path / 'run').exists()
