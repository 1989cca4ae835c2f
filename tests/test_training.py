"""Training survives `kill -9`, is the same on two processes, and learns what is there."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from helpers.runs import RUN, SMALL, Clips, data, history, same_run, tensors
from threedad import training
from threedad.core import CheckpointError, UsageError
from threedad.detector import checkpoint_info
from threedad.predict import PREDICTION_COLUMNS, predict
from threedad.training import train


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


CHILD = '''
import sys, torch
torch.set_num_threads(1)
from helpers.runs import RUN, data
from threedad import training
average = training.ema_update
def told(ema, net, step, decay):
    average(ema, net, step, decay)
    print('step', step + 1, flush=True)
training.ema_update = told
training.train(data(), sys.argv[1], seed=3, save_minutes=0, **RUN)
print('done', flush=True)
'''
HERE = Path(__file__).resolve().parent


def child(out, code=CHILD, **settings):
    """A process that trains in a folder, and says when a step is done."""
    places = [str(HERE), str(HERE.parent), os.environ.get('PYTHONPATH', '')]
    env = os.environ | dict(PYTHONPATH=os.pathsep.join(places), OMP_NUM_THREADS='1') | settings
    command = [sys.executable, '-c', code, str(out)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env)


@pytest.mark.parametrize(
    'kill_after', [(3,), (16, 20)], ids=['within an epoch', 'twice, at an epoch and within one']
)
def test_kill_9(whole, tmp_path, kill_after):
    """Killed for real, at any step, and called again: the bits of the run that went through."""
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
    steps = [int(line.split()[1]) for line in out.splitlines() if line.startswith('step')]
    assert steps and steps[0] > 1 and steps[-1] == 32, steps
    same_run(whole, tmp_path)
    assert all(f.name in SAVED for f in tmp_path.iterdir())


SAVED = ('state.safetensors', 'best.safetensors', 'history.parquet')
LEFT = ['.state-abcdefgh.safetensors', '.best-a_cd0fgh.safetensors', '.history-01234567.parquet']
FOREIGN = ['.env', 'state-abcdefgh.safetensors', '.mine-abcdefgh.safetensors', '.state.parquet']


def test_what_a_killed_run_left_is_removed_and_nothing_else(whole, tmp_path):
    for name in SAVED:
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    for name in [*LEFT, *FOREIGN]:
        (tmp_path / name).write_bytes(b'half')
    train(data(), tmp_path, seed=3, **RUN)
    assert {f.name for f in tmp_path.iterdir()} == {*SAVED, *FOREIGN}


def test_ctrl_c(whole, tmp_path, monkeypatch):
    average, seen = training.ema_update, []

    def interrupted(ema, net, step, decay):
        average(ema, net, step, decay)
        if step == 4 and not seen:
            seen.append(step)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training, 'ema_update', interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(data(), tmp_path, seed=3, **RUN)
    assert signal.getsignal(signal.SIGINT) is before
    assert seen and not (tmp_path / 'best.safetensors').exists()
    train(data(), tmp_path, seed=3, **RUN)
    same_run(whole, tmp_path)


def test_finished_run_is_not_repeated(whole):
    before = (whole / 'state.safetensors').stat().st_mtime_ns
    t = time.monotonic()
    net = train(data(), whole, seed=3, **RUN)
    assert (whole / 'state.safetensors').stat().st_mtime_ns == before
    assert time.monotonic() - t < 20 and not net.training
    info = checkpoint_info(whole / 'best.safetensors')['training']
    assert info['seed'] == 3 and info['trained_on'] == '8 videos' and info['epoch'] in (2, 3)


@pytest.mark.parametrize(
    'other, cause',
    [
        (dict(seed=4), 'another seed'),
        (dict(lr=2e-3), r'another lr \(0.001, now 0.002\)'),
        (dict(channels=40), 'another detector.channels'),
        (dict(data=dict(train=Clips(10), val=None)), 'another data|another training_clips'),
    ],
)
def test_another_run_is_not_overwritten(whole, other, cause):
    settings = RUN | dict(seed=3, data=data()) | other
    before = (whole / 'state.safetensors').read_bytes()
    with pytest.raises(UsageError, match=cause):
        train(settings.pop('data'), whole, **settings)
    assert (whole / 'state.safetensors').read_bytes() == before


def test_seed_matters(whole, tmp_path):
    train(data(), tmp_path, seed=4, **RUN)
    a, b = tensors(whole / 'best.safetensors'), tensors(tmp_path / 'best.safetensors')
    assert not torch.equal(a['fusion.classifier.0.weight'], b['fusion.classifier.0.weight'])


@pytest.mark.parametrize('kept', [0, 7, 5000, -100])
def test_damaged_state(whole, tmp_path, kept):
    (tmp_path / 'state.safetensors').write_bytes((whole / 'state.safetensors').read_bytes()[:kept])
    with pytest.raises(CheckpointError, match='delete it') as e:
        train(data(), tmp_path, seed=3, **RUN)
    assert '\n' not in str(e.value)


EXACT = '''
import torch
torch.set_default_dtype(torch.float64)
torch.Tensor.float = torch.Tensor.double
'''
ALONE = (
    EXACT
    + '''
import sys
from helpers.runs import RUN, data
from threedad.training import train
torch.set_num_threads(1)
train(data(), sys.argv[1], seed=3, **RUN)
'''
)
SHARED = (
    EXACT
    + '''
import sys
import torch.distributed as dist
torch.set_num_threads(1)
from helpers.runs import RUN, data
from threedad.core import UsageError
from threedad.training import train
try:
    train(data(), sys.argv[1], seed=3, **RUN)
except UsageError as e:
    print('refused:', e, flush=True)
if dist.is_initialized():
    print('processes', dist.get_world_size(), dist.get_backend(), flush=True)
    dist.destroy_process_group()
'''
)


def on_two(out):
    """What two processes say that train together through gloo.

    They count in double precision: a network that has learnt nothing magnifies the rounding of
    single precision until gradients differ in their second digit, on one process as on two.
    """
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = str(s.getsockname()[1])
    about = dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=port, ACCELERATE_USE_CPU='1')
    both = [child(out, SHARED, RANK=r, LOCAL_RANK=r, **about) for r in '01']
    said = [p.communicate(timeout=300) for p in both]
    assert [p.returncode for p in both] == [0, 0], said
    assert all('processes 2 gloo' in out for out, _ in said), said
    return said[0][0]


@pytest.fixture(scope='module')
def one_and_two(tmp_path_factory):
    one, two = (tmp_path_factory.mktemp(name) for name in ('one', 'two'))
    alone = child(one, ALONE)
    assert alone.wait() == 0, alone.stderr.read()
    on_two(two)
    return one, two


def test_two_processes_equal_one(one_and_two):
    """At the same global batch: losses within 1e-5, weights within 1e-4."""
    one, two = (history(folder) for folder in one_and_two)
    losses = ['loss', 'clip_loss', 'frame_loss', 'val_loss']
    pd.testing.assert_frame_equal(one[losses], two[losses], rtol=0, atol=1e-5)
    assert one.val_auc.equals(two.val_auc) and one.step.equals(two.step)
    a, b = (tensors(folder / 'state.safetensors') for folder in one_and_two)
    weights = [k for k in a if k.startswith(('model.', 'ema.'))]
    assert len(weights) > 100 and a.keys() == b.keys()
    far = {k: float((a[k].double() - b[k].double()).abs().max()) for k in weights}
    assert max(far.values()) <= 1e-4, max(far, key=far.get)


def test_another_number_of_processes_is_refused_by_name(whole, one_and_two, tmp_path):
    with pytest.raises(UsageError, match=r'another number of processes \(2, now 1\)'):
        train(data(), one_and_two[1], seed=3, **RUN)
    for name in SAVED:
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    assert 'another number of processes (1, now 2)' in on_two(tmp_path)


def test_learns_what_is_there_and_nothing_else(tmp_path):
    """The loss falls and unseen videos are ranked right; on shuffled labels they are not."""
    sets = dict(train=Clips(60, 2), val=Clips(60, 1, seed=1))
    run = dict(epochs=6, texture_epochs=0, batch_size=8, lr=3e-3, quiet=True, **SMALL)
    net = train(sets, tmp_path / 'true', **run)
    h = history(tmp_path / 'true')
    assert h['loss'].iloc[-1] < 0.7 * h['loss'].iloc[0] and h['val_auc'].max() > 0.9, h
    p = predict(net, sets['val'])
    assert list(p.columns) == PREDICTION_COLUMNS and p['score'].between(0, 1).all()
    assert abs(p.groupby('label')['score'].mean().diff().iloc[-1]) > 0.1
    control = train(sets, tmp_path / 'shuffled', shuffle_labels=True, **run)
    c = history(tmp_path / 'shuffled')
    assert abs(c['val_auc'].iloc[-1] - 0.5) < 0.3, c
    assert c['loss'].iloc[-1] > h['loss'].iloc[-1] + 0.1, c
    assert 'shuffled' in control.training_info['trained_on']


def test_settings_are_checked_before_any_work(tmp_path):
    with pytest.raises(UsageError, match='even'):
        train(data(), tmp_path / 'run', **RUN | dict(batch_size=5))
    assert not (tmp_path / 'run').exists()
