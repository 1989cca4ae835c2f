"""The store: every video has a row, a killed run continues, splits do not leak."""

import os, shutil, signal, subprocess, sys, time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from threedad.core import StoreError, UsageError, read_json
from threedad.clips import ClipDataset, clip_frames
from threedad.corpus import Store, _run_jobs, preprocess
from threedad.corpora import assert_no_leak, assign_splits, scan_folder, video_table
from threedad import video
from threedad.video import read_frames, write_video

SAMPLE = Path(__file__).parents[1] / 'data' / 'sample' / 'talking_head.mp4'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "Six usable videos and four that are not."
    d = tmp_path_factory.mktemp('corpus')
    frames = [f.image for f in read_frames(SAMPLE, stop=24)]
    for i in range(6):
        kind = 'fake' if i % 2 else 'real'
        write_video(d / kind / f'v{i}.mp4', frames[i : i + 16], fps=25)
    write_video(d / 'real' / 'grey.mp4', [np.full_like(frames[0], 90)] * 6, fps=25)
    write_video(d / 'real' / 'short.mp4', frames[:2], fps=25)
    (d / 'fake' / 'letter.mp4').write_text('Dear Sir or Madam,')
    return d


@pytest.fixture(scope='module')
def table(folder):
    t = scan_folder(folder, corpus='test')
    lost = dict(path=str(folder / 'lost.mp4'), video_id='test/lost', label=1)
    return video_table(pd.concat([t, pd.DataFrame([lost])], ignore_index=True))


@pytest.fixture(scope='module')
def store(table, tmp_path_factory):
    return preprocess(table, tmp_path_factory.mktemp('store') / 's', workers=2, progress=False)


def test_every_video_has_a_row_with_its_status(store, table):
    v = store.videos.set_index('video_id')
    assert list(v.index) == list(table.video_id)
    status = {Path(p).stem: s for p, s in zip(v.path, v.status)}
    assert {k: s for k, s in status.items() if not k.startswith('v')} == dict(
        grey='no_face', short='too_short', letter='unreadable', lost='unreadable'
    )
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
    assert '6 real' not in repr(store) and 'unreadable' in repr(store)


def test_running_again_changes_nothing(store, table):
    before = {p: p.stat().st_mtime_ns for p in (store.path / 'crops').iterdir()}
    again = preprocess(table, store.path, workers=2, progress=False)
    pd.testing.assert_frame_equal(again.videos, store.videos)
    pd.testing.assert_frame_equal(again.trajectories, store.trajectories)
    assert before == {p: p.stat().st_mtime_ns for p in (store.path / 'crops').iterdir()}
    relabelled = preprocess(table.assign(split='train'), store.path, progress=False)
    assert set(relabelled.videos.split) == {'train'}
    preprocess(table, store.path, progress=False)


RUN = '''
import sys, pandas as pd
from threedad.corpus import preprocess
if __name__ == '__main__': preprocess(pd.read_parquet(sys.argv[1]), sys.argv[2], workers=2, progress=False)
'''


def test_killed_run_continues_to_the_same_store(store, table, tmp_path):
    table.to_parquet(tmp_path / 'videos.parquet')
    (tmp_path / 'run.py').write_text(RUN)
    argv = [
        sys.executable,
        str(tmp_path / 'run.py'),
        str(tmp_path / 'videos.parquet'),
        str(tmp_path / 's'),
    ]
    p, deadline = subprocess.Popen(argv, start_new_session=True), time.time() + 120
    rows = tmp_path / 's' / 'rows'
    while not (rows.exists() and any(rows.glob('[!.]*.json'))):
        assert p.poll() is None and time.time() < deadline
        time.sleep(0.02)
    os.killpg(p.pid, signal.SIGKILL)
    p.wait()
    done = {f.name: f.stat().st_mtime_ns for f in rows.glob('[!.]*.json')}
    assert 0 < len(done) < len(table)
    with pytest.raises(StoreError, match='not finished'):
        Store(tmp_path / 's')
    subprocess.run(argv, check=True, timeout=300)
    again = Store(tmp_path / 's')
    pd.testing.assert_frame_equal(again.videos, store.videos)
    pd.testing.assert_frame_equal(again.trajectories, store.trajectories)
    for i in again.videos.video_id[again.videos.status == 'ok']:
        np.testing.assert_array_equal(again.crops(i), store.crops(i))
    assert sorted(f.name for f in (tmp_path / 's').iterdir()) == [
        'crops',
        'store.json',
        'trajectories.parquet',
        'videos.parquet',
    ]
    assert not [f for f in (tmp_path / 's').rglob('.*')]


def test_a_worker_that_dies_costs_one_video(store, table, tmp_path, monkeypatch):
    hired = []

    def hire(function, real=video._hire):
        hired.append(real(function))
        return hired[-1]

    monkeypatch.setattr(video, '_hire', hire)
    (tmp_path / 'rows').mkdir()
    jobs = [
        dict(video_id=f'v{i}', path=p, store=str(tmp_path), crop_size=224, quality=95, stop=None)
        for i, p in enumerate(table.path[:3])
    ]
    rows = []
    for row in _run_jobs(jobs, 1, 600):
        rows.append(row)
        if len(rows) == 1:
            hired[0][1].kill()
    assert (
        [r['status'] for r in rows][1] == 'corrupt'
        and 'crashed' in rows[1]['error']
        and len(rows) == 3
        and len(hired) == 2
    )
    slow = list(_run_jobs(jobs[:1], 1, 0))
    assert slow[0]['status'] == 'corrupt' and 'took too long' in slow[0]['error']


def test_a_bad_folder_is_named(tmp_path):
    for path, cause in ((tmp_path / 'none', 'not a folder'), (tmp_path, 'no store.json')):
        with pytest.raises(StoreError, match=cause):
            Store(path)


def test_changed_file_is_done_again(tmp_path):
    shutil.copy(SAMPLE, tmp_path / 'a.mp4')
    t = pd.DataFrame({'path': [tmp_path / 'a.mp4', tmp_path / 'b.mp4']})
    first = preprocess(t, tmp_path / 's', workers=0, stop=5, progress=False)
    assert first.videos.status.tolist() == ['ok', 'unreadable']
    (tmp_path / 'a.mp4').write_bytes(b'no longer a video')
    shutil.copy(SAMPLE, tmp_path / 'b.mp4')
    second = preprocess(t, tmp_path / 's', workers=0, stop=5, progress=False)
    assert second.videos.status.tolist() == ['unreadable', 'ok']
    assert second.trajectories.video_id.unique().tolist() == [second.videos.video_id[1]]


@pytest.mark.parametrize('seed', range(5))
def test_splits_do_not_leak(seed):
    r = np.random.default_rng(seed)
    people = [f'p{i}' for i in range(30)]
    rows = [dict(path=f'{i}.mp4', label=0, group=p) for i, p in enumerate(r.choice(people, 60))]
    rows += [
        dict(
            path=f'f{i}.mp4',
            label=1,
            manipulation=r.choice(['swap', 'reenact']),
            group='+'.join(r.choice(people[k : k + 3], 2, replace=False)),
        )
        for i, k in enumerate(r.choice(np.arange(0, 30, 3), 60))
    ]
    v = assign_splits(video_table(pd.DataFrame(rows)), seed=seed)
    assert_no_leak(v)
    sides = (
        v.assign(person=v.group.str.split('+')).explode('person').groupby('person').split.nunique()
    )
    assert (sides == 1).all() and set(v.split) == {'train', 'val', 'test'}
    assert (pd.crosstab(v.split, v.label) > 0).all().all()
    with pytest.raises(UsageError):
        assign_splits(v.assign(group='one'), seed=seed)


def test_clip_frames():
    assert clip_frames(32).tolist() == [[k, k + 8, k + 16, k + 24] for k in range(8)]
    assert [len(clip_frames(n)) for n in (0, 3, 4, 31, 32, 64)] == [0, 0, 1, 14, 8, 16]
    for n in range(4, 130):
        c = clip_frames(n)
        assert (
            c.max() == n - 1
            and c.min() == 0
            and (np.diff(c, axis=1) > 0).all()
            and len(np.unique(c)) == n
        )


def test_dataset_items(store):
    d = ClipDataset(store, size=64, progress=False)
    assert len(d) == 6 * len(clip_frames(16)) and set(d.table.label) == {0, 1}
    item = d[5]
    assert item['clip'].shape == (4, 3, 64, 64) and item['clip'].dtype.is_floating_point is False
    assert (
        item['first_frame']
        == store.trajectory(item['video_id']).frame[clip_frames(16)[item['clip_index']][0]]
    )
