"""Training survives `kill -9`, learns what is there, and nothing from shuffled labels."""

import json
import math
import os
import signal
import time

import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from helpers.training import (
    RUN,
    SMALL,
    Clips,
    assert_same_run,
    child,
    data,
    group,
    history,
    relabelled,
    tensors,
)
from threedad import training
from threedad.core import CheckpointError, UsageError
from threedad.detector import checkpoint_info
from threedad.predict import PREDICTION_COLUMNS, predict
from threedad.training import train


def info_of(path):
    """Settings and place of a state."""
    with safe_open(str(path), framework="pt") as f:
        return json.loads(f.metadata()["state"])


STEPPING = """
from helpers.training import RUN, data
from threedad import training
update = training.ema_update
def said(ema, net, step, decay):
    update(ema, net, step, decay)
    print('step', step + 1, flush=True)
training.ema_update = said
training.train(data(), {out!r}, seed=3, save_minutes=0, **RUN)
"""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    train(data(), out, seed=3, **RUN)
    return out


@pytest.mark.parametrize(
    "kill_after", [(3,), (16, 20)], ids=["within an epoch", "twice, at an epoch and within one"]
)
def test_kill_9(whole, tmp_path, kill_after):
    """Killed for real, at any step, and called again: the same bits as the run that went through."""
    code = STEPPING.format(out=str(tmp_path))
    for n in kill_after:
        p = child(code)
        for line in p.stdout:
            if line.strip() == f"step {n}":
                os.kill(p.pid, signal.SIGKILL)
                break
        assert p.wait() == -signal.SIGKILL, p.stderr.read()[-2000:]
    p = child(code)
    out, err = p.communicate()
    assert p.returncode == 0, err[-2000:]
    steps = [int(line.split()[1]) for line in out.splitlines() if line.startswith("step")]
    assert steps and steps[0] > 1 and steps[-1] == 32, steps
    assert_same_run(whole, tmp_path)
    assert {f.name for f in tmp_path.iterdir()} == {f.name for f in whole.iterdir()}


def test_ctrl_c(whole, tmp_path, monkeypatch):
    update, seen = training.ema_update, []

    def interrupted(ema, net, step, decay):
        update(ema, net, step, decay)
        if step == 4 and not seen:
            seen.append(1)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training, "ema_update", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(data(), tmp_path, seed=3, **RUN)
    assert signal.getsignal(signal.SIGINT) is before
    assert not (tmp_path / "best.safetensors").exists()
    train(data(), tmp_path, seed=3, **RUN)
    assert_same_run(whole, tmp_path)


def test_finished_run_is_not_repeated(whole):
    before = (whole / "state.safetensors").stat().st_mtime_ns
    t = time.monotonic()
    net = train(data(), whole, seed=3, **RUN)
    assert (whole / "state.safetensors").stat().st_mtime_ns == before
    assert time.monotonic() - t < 20
    info = checkpoint_info(whole / "best.safetensors")["training"]
    assert info["seed"] == 3 and info["trained_on"] == "8 videos"
    assert info["epoch"] in (2, 3) and not net.training


def test_another_run_is_not_overwritten(whole):
    with pytest.raises(UsageError, match="another seed"):
        train(data(), whole, seed=4, **RUN)
    with pytest.raises(UsageError, match="another data|another training_clips"):
        train(dict(train=Clips(10), val=None), whole, seed=3, **RUN)


def test_seed_matters(whole, tmp_path):
    train(data(), tmp_path, seed=4, **RUN)
    a, b = tensors(whole / "best.safetensors"), tensors(tmp_path / "best.safetensors")
    assert not torch.equal(a["fusion.classifier.0.weight"], b["fusion.classifier.0.weight"])


DAMAGE = {
    "nothing": lambda data: b"",
    "a start": lambda data: data[:5000],
    "all but the end": lambda data: data[:-1],
    "a text": lambda data: b"no state",
    "a header that is too long": lambda data: b"\xff" * 8 + data[8:],
}
MIXED = {
    "weights missing": (lambda t: {k: v for k, v in t.items() if ".fusion." not in k}, {}),
    "weights of another shape": (lambda t: {k: v[:1] if v.ndim else v for k, v in t.items()}, {}),
    "no generator": (lambda t: {k: v for k, v in t.items() if k != "rng.cpu"}, {}),
    "moments of others": (lambda t: t | {"optim.other/exp_avg": torch.zeros(1)}, {}),
    "no place": (dict, dict(at={})),
    "a place in a list": (dict, dict(at=[])),
    "no settings": (dict, dict(settings=None)),
}


@pytest.mark.parametrize("name", [*DAMAGE, *MIXED])
def test_damaged_states(whole, tmp_path, name):
    state, good = tmp_path / "state.safetensors", whole / "state.safetensors"
    if name in DAMAGE:
        state.write_bytes(DAMAGE[name](good.read_bytes()))
    else:
        change, told = MIXED[name]
        save_file(
            change(tensors(good)), state, metadata=dict(state=json.dumps(info_of(good) | told))
        )
    with pytest.raises(CheckpointError, match="delete it to start over") as e:
        train(data(), tmp_path, seed=3, **RUN)
    assert "\n" not in str(e.value) and str(state) in str(e.value)


def test_learns_what_is_there_and_nothing_else(tmp_path):
    """The loss falls and unseen videos are ranked right; on shuffled labels they are not."""
    sets = dict(train=Clips(60, 2), val=Clips(60, 1, seed=1))
    run = dict(epochs=6, texture_epochs=0, batch_size=8, lr=3e-3, quiet=True, **SMALL)
    net = train(sets, tmp_path / "true", **run)
    h = pd.read_parquet(tmp_path / "true" / "history.parquet")
    assert h["loss"].iloc[-1] < 0.7 * h["loss"].iloc[0] and h["val_auc"].max() > 0.9, h
    p = predict(net, sets["val"])
    assert list(p.columns) == PREDICTION_COLUMNS and p["score"].between(0, 1).all()
    assert abs(p.groupby("label")["score"].mean().diff().iloc[-1]) > 0.1
    control = train(sets, tmp_path / "shuffled", shuffle_labels=True, **run)
    c = pd.read_parquet(tmp_path / "shuffled" / "history.parquet")
    assert abs(c["val_auc"].iloc[-1] - 0.5) < 0.3, c
    assert c["loss"].iloc[-1] > h["loss"].iloc[-1] + 0.1, c
    assert "shuffled" in control.training_info["trained_on"]


@pytest.mark.parametrize(
    "kw, cause",
    [
        (dict(batch_size=5), "even"),
        (dict(preset="huge"), "unknown preset"),
        (dict(epochs=0), "epochs must be a whole number from 1 to"),
        (dict(texture_size=224), "do not meet"),
        (dict(nonsense=1), "no setting"),
    ],
)
def test_bad_settings(tmp_path, kw, cause):
    with pytest.raises(UsageError, match=cause):
        train(data(), tmp_path / "run", **{**RUN, **kw})
    assert not (tmp_path / "run").exists()


# in double precision, because rounding alone moves AdamW's first steps by as much as the learning rate
TOGETHER = dict(
    plain=dict(augment=False, texture_epochs=0, clips_per_epoch=16),
    textured=dict(epochs=1),
    larger=dict(batch_size=8, texture_epochs=0, clips_per_epoch=24),
)
RUNS = """
import torch
from helpers.training import RUN, data
from threedad.core import UsageError
from threedad.training import train
torch.set_default_dtype(torch.float64)
for name, settings in {runs!r}.items():
    train(data(), {out!r} + '/' + name, seed=3, **RUN | settings)
torch.set_default_dtype(torch.float32)
train(data(), {out!r} + '/single', seed=3, **RUN | dict(epochs=1, clips_per_epoch=4))
"""
AGAIN = """
try:
    train(data(), {before!r}, seed=3, **RUN | dict(epochs=1, clips_per_epoch=4))
except UsageError as e:
    print(e)
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    out = tmp_path_factory.mktemp("alone")
    p = child(RUNS.format(runs=TOGETHER, out=str(out)))
    _, err = p.communicate()
    assert p.returncode == 0, err[-2000:]
    return out


@pytest.fixture(scope="module")
def pair(alone, tmp_path_factory):
    """The same runs by two processes, and what they say to the run that one process began."""
    out = tmp_path_factory.mktemp("pair")
    code = RUNS.format(runs=TOGETHER, out=str(out)) + AGAIN.format(before=str(alone / "single"))
    return out, group(code)


@pytest.mark.parametrize("name", TOGETHER)
def test_two_processes_equal_one(alone, pair, name):
    """Same losses, the mean over processes; same weights, though each saw half of the clips."""
    x, y = history(alone / name), history(pair[0] / name)
    pd.testing.assert_frame_equal(x, y, check_exact=False, rtol=0, atol=1e-5)
    for file in ("best.safetensors", "state.safetensors"):
        a, b = tensors(alone / name / file), tensors(pair[0] / name / file)
        assert a.keys() == b.keys()
        for k in a:
            if a[k].is_floating_point():
                assert (a[k] - b[k]).abs().max() < 1e-4, (file, k)


def test_two_processes_log_what_one_does_in_single_precision(alone, pair):
    x, y = history(alone / "single"), history(pair[0] / "single")
    pd.testing.assert_frame_equal(x, y, check_exact=False, rtol=0, atol=1e-5)


def rewritten(folder, out, **settings):
    """The state of a run as if it had been begun with other settings."""
    good, out = folder / "state.safetensors", out / "state.safetensors"
    info = info_of(good)
    info["settings"] |= settings
    save_file(tensors(good), out, metadata=dict(state=json.dumps(info)))
    return out.parent


def test_two_processes_do_not_go_on_with_the_run_of_one(pair):
    for said in pair[1]:
        assert "another number of processes (1, now 2)" in said


@pytest.mark.parametrize("processes", [2, 3, None])
def test_one_process_does_not_go_on_with_the_run_of_several(whole, pair, tmp_path, processes):
    if processes == 2:
        out, settings = pair[0] / "single", dict(epochs=1, clips_per_epoch=4)
    else:
        out, settings = rewritten(whole, tmp_path, processes=processes), {}
    before = (out / "state.safetensors").read_bytes()
    with pytest.raises(UsageError, match=rf"number of processes \({processes}, now 1\)"):
        train(data(), out, seed=3, **RUN | settings)
    assert (out / "state.safetensors").read_bytes() == before


KILLED = """
import os, pathlib
from threedad.core import atomic_path
with atomic_path(pathlib.Path({path!r})) as tmp:
    tmp.write_bytes(b'half')
    os._exit(9)
"""


@pytest.mark.parametrize("name", ["state.safetensors", "best.safetensors", "history.parquet"])
def test_a_killed_write_leaves_nothing_behind(tmp_path, name):
    """The temporary file of a killed writer goes when the run goes on; nothing else does."""
    settings = RUN | dict(epochs=1, texture_epochs=0, clips_per_epoch=4)
    train(data(), tmp_path, max_minutes=0, **settings)
    child(KILLED.format(path=str(tmp_path / name))).communicate()
    assert len([f for f in tmp_path.iterdir() if f.name.startswith(".")]) == 1
    mine = {".env", ".state-notes.txt", f".{name}", ".state-mine.safetensors"}
    for other in mine:
        (tmp_path / other).touch()
    (tmp_path / ".best-abcdefgh.safetensors").mkdir()
    train(data(), tmp_path, **settings)
    hidden = {f.name for f in tmp_path.iterdir() if f.name.startswith(".")}
    assert hidden == mine | {".best-abcdefgh.safetensors"}


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("label", [2, -1, math.nan, None, "1", 0.5], ids=repr)
def test_other_labels_are_refused(tmp_path, split, label):
    sets = data()
    relabelled(sets[split], label)
    with pytest.raises(UsageError, match="labels must be 0 .* 4 clips have others") as e:
        train(sets, tmp_path / "run", **RUN)
    assert "\n" not in str(e.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_video_with_two_labels_is_refused(tmp_path, split):
    sets = data()
    relabelled(sets[split], 1, slice(0, 1))
    with pytest.raises(UsageError, match="v000"):
        train(sets, tmp_path / "run", **RUN)
