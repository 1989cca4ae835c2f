"""The store: every video has a row, nothing can hurt it, and one run mends it."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.corpus import make_corpus
from helpers.videos import SAMPLE
from threedad import corpus
from threedad.core import FileError, StoreError, read_json, write_json
from threedad.corpus import Store, preprocess
from threedad.storefiles import crops_file, row_file


@pytest.fixture(scope='module')
def table(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp('corpus'))


@pytest.fixture(scope='module')
def store(table, tmp_path_factory):
    return preprocess(table, tmp_path_factory.mktemp('store') / 's', workers=2, progress=False)


@pytest.fixture
def copy(store, tmp_path):
    shutil.copytree(store.path, tmp_path / 's')
    return tmp_path / 's'


def digest(folder):
    files = sorted(p for p in Path(folder).rglob('*') if p.is_file() and p.suffix != '.lock')
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
    }


def test_every_video_has_a_row_with_its_status(store, table):
    v = store.videos.set_index('video_id')
    assert list(v.index) == list(table.video_id)
    status = {Path(p).stem: s for p, s in zip(v.path, v.status)}
    unusable = dict(grey='no_face', short='too_short', letter='unreadable', lost='unreadable')
    assert {k: s for k, s in status.items() if not k.startswith('v')} == unusable
    assert all(s == 'ok' for k, s in status.items() if k.startswith('v'))
    bad = v[v.status != 'ok']
    assert all(e.startswith(p) and '\n' not in e for e, p in zip(bad.error, bad.path))
    assert (v.faces_found[v.status == 'ok'] == 16).all()


def test_tables_and_crops_agree(store):
    for i in store.videos.video_id[store.videos.status == 'ok']:
        frames = store.trajectory(i).frame
        assert len(frames) == len(store.crops(i)) == 16
        assert store.crops(i, [frames[3]]).shape == (1, 224, 224, 3)
    with pytest.raises(StoreError, match='its status is no_face'):
        store.crops(store.videos.video_id[store.videos.status == 'no_face'].iloc[0])
    assert 'unreadable' in repr(store) and len(store.check()) == 0


def test_running_again_changes_nothing(store, table):
    before = digest(store.path)
    preprocess(table, store.path, workers=2, progress=False)
    assert digest(store.path) == before
    relabelled = preprocess(table.assign(split='train'), store.path, progress=False)
    assert set(relabelled.videos.split) == {'train'}
    preprocess(table, store.path, progress=False)
    assert digest(store.path) == before


def one_ok(folder):
    v = Store(folder).videos
    return v.video_id[v.status == 'ok'].iloc[1]


def cut(file, share=0.5):
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])


DAMAGE = {
    'shard deleted': lambda s, i: crops_file(s, i).unlink(),
    'shard cut': lambda s, i: cut(crops_file(s, i)),
    'shard emptied': lambda s, i: crops_file(s, i).write_bytes(b''),
    'trajectories cut': lambda s, i: cut(s / 'trajectories.parquet'),
    'trajectories deleted': lambda s, i: (s / 'trajectories.parquet').unlink(),
    'videos cut': lambda s, i: cut(s / 'videos.parquet'),
    'videos deleted': lambda s, i: (s / 'videos.parquet').unlink(),
    'row lost': lambda s, i: drop_row(s, 'videos.parquet', i),
    'trajectory lost': lambda s, i: drop_row(s, 'trajectories.parquet', i),
    'shards deleted': lambda s, i: shutil.rmtree(s / 'crops'),
}


def drop_row(folder, name, video_id):
    t = pd.read_parquet(folder / name)
    t[t.video_id != video_id].to_parquet(folder / name)


@pytest.mark.parametrize('kind', DAMAGE)
def test_one_run_mends_a_damaged_store(copy, table, store, kind):
    whole = digest(copy)
    DAMAGE[kind](copy, one_ok(copy))
    assert digest(copy) != whole
    preprocess(table, copy, workers=0, progress=False)
    assert digest(copy) == whole


@pytest.mark.parametrize('kind', [k for k in DAMAGE if k.startswith('shard')])
def test_check_says_what_is_wrong(copy, kind):
    i = one_ok(copy)
    DAMAGE[kind](copy, i)
    faults = Store(copy).check()
    assert i in set(faults.video_id) and list(faults) == ['video_id', 'what', 'file']


def test_everything_at_once_is_mended(copy, table):
    whole = digest(copy)
    v = Store(copy).videos
    a, b, c = v.video_id[v.status == 'ok'][:3]
    crops_file(copy, a).unlink()
    cut(crops_file(copy, b))
    drop_row(copy, 'videos.parquet', c)
    cut(copy / 'trajectories.parquet')
    preprocess(table, copy, workers=0, progress=False)
    assert digest(copy) == whole


@pytest.mark.parametrize(
    'foreign', ['.env', '.git/config', 'sub/.secret', 'crops/.mine', 'notes.txt']
)
def test_foreign_files_are_left_alone(table, tmp_path, foreign):
    file = tmp_path / 's' / foreign
    file.parent.mkdir(parents=True)
    file.write_text('mine')
    two = table[table.path.str.contains('v0|letter')]
    for _ in range(2):
        preprocess(two, tmp_path / 's', workers=0, progress=False)
    assert file.read_text() == 'mine'


RUN = """
import sys, pandas as pd
from threedad.corpus import preprocess
if __name__ == '__main__':
    preprocess(pd.read_parquet(sys.argv[1]), sys.argv[2], workers=2, progress=False)
"""


def start(table, tmp_path, name='s'):
    table.to_parquet(tmp_path / 'videos.parquet')
    (tmp_path / 'run.py').write_text(RUN)
    argv = [sys.executable, *(str(tmp_path / n) for n in ('run.py', 'videos.parquet', name))]
    return subprocess.Popen(argv, start_new_session=True)


def test_a_killed_run_continues_to_the_same_store(store, table, tmp_path):
    p, deadline = start(table, tmp_path), time.time() + 120
    rows = tmp_path / 's' / 'rows'
    while not (rows.exists() and any(rows.glob('[!.]*.json'))):
        assert p.poll() is None and time.time() < deadline
        time.sleep(0.02)
    os.killpg(p.pid, signal.SIGKILL)
    p.wait()
    with pytest.raises(StoreError, match='not finished'):
        Store(tmp_path / 's')
    assert start(table, tmp_path).wait(300) == 0
    assert digest(tmp_path / 's') == digest(store.path)


def test_two_writers_make_the_store_of_one(store, table, tmp_path):
    both = [start(table, tmp_path) for _ in range(2)]
    codes = sorted(p.wait(300) for p in both)
    assert codes[0] == 0
    assert digest(tmp_path / 's') == digest(store.path)


PASSING = {
    'out of memory': MemoryError(),
    'disk full': OSError(28, 'No space left on device'),
    'temporary file gone': FileNotFoundError(2, 'No such file or directory'),
}


@pytest.mark.parametrize('why', PASSING)
def test_what_failed_for_a_passing_reason_is_tried_again(copy, table, monkeypatch, why):
    def broken(*args, **kwargs):
        raise PASSING[why]

    failed_once_then_mended(copy, table, monkeypatch, 'analyse', broken)


def test_a_killed_worker_costs_one_try(copy, table, monkeypatch):
    def killed(function, jobs, workers, timeout):
        for job in jobs:
            dies = job['video_id'] == one_ok(copy)
            yield (job, None, 'died (signal 9)') if dies else (job, function(job), '')

    failed_once_then_mended(copy, table, monkeypatch, 'pooled', killed)


def failed_once_then_mended(copy, table, monkeypatch, name, broken):
    whole, i = digest(copy), one_ok(copy)
    crops_file(copy, i).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(corpus, name, broken)
        first = preprocess(table, copy, workers=int(name == 'pooled'), progress=False)
    assert first.videos.set_index('video_id').status[i] == 'corrupt'
    again = preprocess(table, copy, workers=0, progress=False)
    assert again.videos.set_index('video_id').status[i] == 'ok'
    assert digest(copy) == whole


def test_what_a_file_is_at_fault_for_is_not_tried_again(copy, table, monkeypatch):
    tried = []
    monkeypatch.setattr(corpus, 'pooled', lambda f, jobs, *a: tried.extend(jobs) or iter(()))
    preprocess(table, copy, workers=1, progress=False)
    status = Store(copy).videos.set_index('video_id').status
    assert {j['video_id'] for j in tried} == set(status.index[status == 'unreadable'])


def test_a_changed_file_is_done_again(tmp_path):
    shutil.copy(SAMPLE, tmp_path / 'a.mp4')
    t = pd.DataFrame({'path': [tmp_path / 'a.mp4', tmp_path / 'b.mp4']})
    first = preprocess(t, tmp_path / 's', workers=0, stop=5, progress=False)
    assert first.videos.status.tolist() == ['ok', 'unreadable']
    (tmp_path / 'a.mp4').write_bytes(b'no longer a video')
    shutil.copy(SAMPLE, tmp_path / 'b.mp4')
    second = preprocess(t, tmp_path / 's', workers=0, stop=5, progress=False)
    assert second.videos.status.tolist() == ['unreadable', 'ok']
    assert second.trajectories.video_id.unique().tolist() == [second.videos.video_id[1]]


@pytest.mark.parametrize(
    'change, cause',
    [
        (lambda s: shutil.rmtree(s), 'not a folder'),
        (lambda s: (s / 'store.json').unlink(), 'no store.json'),
        (lambda s: (s / 'store.json').write_text('{'), 'store.json'),
        (lambda s: write_json(dict(schema=99), s / 'store.json'), 'names no settings'),
        (lambda s: cut(s / 'videos.parquet'), 'videos.parquet'),
    ],
)
def test_what_is_no_store_is_named(copy, change, cause):
    change(copy)
    with pytest.raises((StoreError, FileError), match=cause):
        assert len(Store(copy).videos)


def test_other_settings_are_refused(copy, table):
    with pytest.raises(StoreError, match='crop_size'):
        preprocess(table, copy, crop_size=112, workers=0, progress=False)


def test_the_sample_store_is_readable():
    s = Store(SAMPLE.parent / 'store')
    assert len(s.videos) and np.isfinite(s.trajectories.yaw).all()
    assert str(s.path) in s._repr_html_()
    assert read_json(s.path / 'store.json')['schema'] >= 1
    assert row_file(s.path, 'x').parent.name == 'rows'
