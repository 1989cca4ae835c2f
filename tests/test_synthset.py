"""A corpus is the same however it is made, interrupted and continued; it deletes nothing of others and leaks nobody."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import av
import pytest
from filelock import FileLock
from helpers.forgeries import files

from threedad import synthset as room
from threedad.core import FileError, ThreedadError, UsageError, read_table
from threedad.forge import MANIPULATIONS, read_provenance
from threedad.synthset import (
    DIFFICULTIES,
    CorpusConfig,
    half_written,
    partner_of,
    person_of,
    sides,
    synthesize,
    video_rows,
)

SMALL = CorpusConfig(people=2, videos=3, frames=5, size=96, seed=9)
SCRIPT = """
import sys
from threedad.synthset import CorpusConfig, synthesize
if __name__ == '__main__':
    config = CorpusConfig(people=2, videos=3, frames=5, size=96, seed=9)
    synthesize(sys.argv[1], config, int(sys.argv[2]), progress=False)
"""


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A corpus that was made in one go."""
    folder = tmp_path_factory.mktemp('whole')
    synthesize(folder, SMALL, workers=0, progress=False)
    return folder


def started(folder, workers):
    """The same corpus, being made by another process."""
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen([sys.executable, '-c', SCRIPT, str(folder), str(workers)], **quiet)


def same(folder, whole):
    """Are videos and tables of two corpora the same bytes, but for the folder's own name?"""
    videos, wanted = (
        read_table(f / 'videos.parquet').drop(columns='path') for f in (folder, whole)
    )
    tables = files(folder, 'truth*/*.parquet') | files(folder, 'truth.parquet')
    known = files(whole, 'truth*/*.parquet') | files(whole, 'truth.parquet')
    return files(folder) == files(whole) and tables == known and videos.equals(wanted)


@pytest.mark.parametrize('workers', [1, 2, 3])
def test_any_number_of_workers_makes_the_same(tmp_path, whole, workers):
    made = synthesize(tmp_path / 'new', SMALL, workers, progress=False)
    assert same(tmp_path / 'new', whole) and len(made) == 3 * 7


def test_no_workers_work_in_this_process(tmp_path, monkeypatch):
    def pooled(*args):
        raise AssertionError('a worker was started')

    monkeypatch.setattr(room, 'pooled', pooled)
    settings = dict(people=2, videos=1, frames=4, size=64, manipulations='self_blend')
    for workers in (0, 1):
        made = synthesize(tmp_path, workers=workers, progress=False, **settings)
        assert len(made) == 2


@pytest.mark.parametrize('after, workers', [(1, 1), (9, 1), (16, 1), (4, 2)])
def test_a_killed_run_ends_as_one_that_was_not(tmp_path, whole, after, workers):
    killed = started(tmp_path, workers)
    while len(files(tmp_path, '[!.]*.mp4')) < after and killed.poll() is None:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL and not (tmp_path / 'videos.parquet').exists()
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.glob('original/c23/0000_p000.mp4')}
    synthesize(tmp_path, SMALL, workers=0, progress=False)
    assert same(tmp_path, whole) and not half_written(tmp_path)
    assert all(p.stat().st_mtime_ns == t for p, t in kept.items())


def _lose(path):
    path.unlink()


def _cut(path):
    path.write_bytes(path.read_bytes()[:-900])


def _empty(path):
    path.write_bytes(b'')


def _text(path):
    path.write_text('no such thing')


def _relabel(path):
    with av.open(str(path)) as old, av.open(str(path) + '.new.mp4', 'w') as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    os.replace(str(path) + '.new.mp4', path)


@pytest.mark.parametrize('harm', [_lose, _cut, _empty, _text, _relabel])
def test_what_is_missing_or_damaged_is_made_again(tmp_path, whole, harm):
    made = synthesize(tmp_path, SMALL, workers=0, progress=False)
    hurt = Path(made['path'][9])
    before = {p: Path(p).stat().st_mtime_ns for p in made['path'] if p != str(hurt)}
    harm(hurt)
    if harm is not _relabel:
        harm(tmp_path / 'truth' / '0001.parquet')
        harm(tmp_path / 'videos.parquet')
    synthesize(tmp_path, SMALL, workers=0, progress=False)
    assert same(tmp_path, whole)
    assert all(Path(p).stat().st_mtime_ns == t for p, t in before.items())


def test_other_settings_make_all_of_it_again(tmp_path, whole):
    synthesize(tmp_path, SMALL, workers=0, progress=False)
    other = synthesize(tmp_path, SMALL, workers=0, progress=False, seed=6)
    assert files(tmp_path).keys() == files(whole).keys()
    assert not set(files(tmp_path).values()) & set(files(whole).values())
    assert (other['seed'] == 6).all()


def test_a_corpus_of_some_kinds_is_a_part_of_the_whole(tmp_path, whole):
    kinds = 'autoencoder', 'self_blend'
    synthesize(tmp_path, SMALL, workers=0, progress=False, manipulations=kinds)
    assert len(files(tmp_path)) == 9 and files(tmp_path).items() <= files(whole).items()


OTHERS = [  # files of other people, some named like ours
    '.env',
    '.git/config',
    'sub/.secret',
    '.0001_p000-abcdefgh.mp4',
    'original/c23/holiday.mp4',
    'original/c23/.2024_party-abcdefgh.mp4',
    'original/c23/.0001_p000-abcdefgh.mov',
    'original/.0001_p000-abcdefgh.mp4',
    'truth/.notes-abcdefgh.parquet',
    '.videos-short.parquet',
]
OURS = [
    '.videos-abcdefgh.parquet',
    '.threedad-writer-ab_defg1.json',
    'truth/.0001-abcdefgh.parquet',
    'original/c23/.0001_p000-abcdefgh.mp4',
    'reenact/c23/.0001_p000_p001-ab_defg1.mp4',
]


def test_only_what_the_library_named_is_deleted(tmp_path, whole):
    for name in OTHERS + OURS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    link = tmp_path / 'original/c23/.0002_p000-abcdefgh.mp4'
    link.symlink_to(tmp_path / '.env')
    assert {p.relative_to(tmp_path).as_posix() for p in half_written(tmp_path)} == set(OURS)
    for _ in range(2):
        synthesize(tmp_path, SMALL, workers=0, progress=False)
        assert all((tmp_path / name).read_text() == name for name in OTHERS)
        assert link.is_symlink() and not any((tmp_path / name).exists() for name in OURS)
    made = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob('*') if p.is_file()}
    mine = {p.relative_to(whole).as_posix() for p in whole.rglob('*') if p.is_file()}
    assert made - mine == {*OTHERS, link.relative_to(tmp_path).as_posix()}


def test_two_writers_make_what_one_does(tmp_path, whole):
    both = [started(tmp_path, 1) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert same(tmp_path, whole) and not (tmp_path / 'threedad.lock').exists()


def test_the_second_writer_says_for_whom_it_waits(tmp_path, monkeypatch):
    lock = FileLock(tmp_path / 'threedad.lock')
    lock.acquire()
    note = '{"pid": 4711, "host": "here", "since": "2026-11-25 08:00:00"}'
    (tmp_path / 'threedad-writer.json').write_text(note)

    def warn(said, **kwargs):
        said_all.append(said)
        lock.release()

    said_all: list = []
    monkeypatch.setattr(warnings, 'warn', warn)
    settings = dict(people=2, videos=1, frames=4, size=64, manipulations='self_blend')
    synthesize(tmp_path, workers=0, progress=False, **settings)
    assert len(said_all) == 1
    assert 'waiting for process 4711 on here, which has been writing since' in said_all[0]
    assert not (tmp_path / 'threedad-writer.json').exists()


def test_difficulties_take_turns_and_a_holdout_is_for_testing(tmp_path):
    config = CorpusConfig(
        people=16,
        videos=16,
        frames=4,
        size=64,
        seed=2,
        manipulations=('self_blend', 'lip_sync'),
        difficulty=('easy', 'hard'),
        holdout='lip_sync',
    )
    v = synthesize(tmp_path, config, workers=2, progress=False)
    fakes = v[v['label'] == 1]
    for d in ('easy', 'hard'):
        assert fakes.loc[fakes['difficulty'] == d, 'strength'].between(*DIFFICULTIES[d]).all()
        assert set(v.loc[v['difficulty'] == d, 'split']) == {'train', 'val', 'test'}
    assert set(v.loc[v['manipulation'] == 'lip_sync', 'split']) == {'test'}
    assert v.groupby(v['group'].str[:4])['difficulty'].nunique().eq(1).all()
    about = [read_provenance(p) for p in v['path']]
    assert [a['altered'] for a in about] == v['altered'].tolist()
    assert all(a['synthetic'] for a in about)
    strengths = [(a['strength'], s) for a, s in zip(about, v['strength'])]
    assert all(a is None or abs(a - s) < 1e-5 for a, s in strengths)


@pytest.mark.parametrize('people', range(2, 14))
def test_no_person_is_on_two_sides(people):
    both = sides(CorpusConfig(people=people))
    for p in range(people):
        q = partner_of(p, people)
        assert p != q and both[p] == both[q]
    assert people < 6 or {split for split, _ in both} == {'train', 'val', 'test'}


@pytest.mark.parametrize('people', [2, 7, 48])
def test_partners_wear_the_same_glasses(people):
    config = CorpusConfig(people=people, seed=20261125)
    worn = [person_of(p, config).glasses for p in range(people)]
    assert all(worn[p] == worn[partner_of(p, people)] for p in range(people))
    assert people < 48 or 0 < sum(map(bool, worn)) < people


def test_rows_name_everybody_who_is_in_a_video():
    rows = {r['manipulation']: r for r in video_rows(1, CorpusConfig(people=4))}
    assert list(rows) == ['original', *MANIPULATIONS]
    alone = {name for name, row in rows.items() if row['group'] == 'p001'}
    assert alone == {'original', 'self_blend'}
    assert {row['group'] for row in rows.values()} == {'p001', 'p001+p000'}
    assert [row['label'] for row in rows.values()] == [0] + 6 * [1]


@pytest.mark.parametrize(
    'wrong, says',
    [
        (dict(manipulations='morph'), 'morph is none of face_swap'),
        (dict(compression='c10'), 'c10 is none of raw'),
        (dict(difficulty='fair'), 'fair is none of easy'),
        (dict(holdout='reenact', manipulations='lip_sync'), 'reenact is none of lip_sync'),
        (dict(compression=()), 'compression: at least one'),
        (dict(difficulty=[]), 'difficulty: at least one'),
        (dict(manipulations=3), 'manipulations: names are needed'),
        (dict(compression=('c23', 'c23')), 'names one twice'),
        (dict(people=1), 'people goes from 2'),
        (dict(people='many'), 'people is a number'),
        (dict(size=255), 'an even number'),
        (dict(frames=4.5), 'a whole number'),
        (dict(people=2.01), 'a whole number'),
        (dict(seed='4'), 'a whole number'),
        (dict(fps=0), 'fps goes from 1'),
        (dict(seed=-1), 'seed goes from 0'),
        (dict(persons=3), 'persons: none of the settings'),
        (dict(config=10), 'a CorpusConfig, not 10'),
        (dict(workers=-1), 'workers goes from 0'),
    ],
)
def test_wrong_settings_are_named_before_any_work(tmp_path, wrong, says):
    with pytest.raises(UsageError, match=says):
        synthesize(tmp_path / 'new', **wrong)
    assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize('place', ['file', 'file/below', 'folder'])
def test_a_place_where_nothing_can_be_written_is_refused(tmp_path, place):
    (tmp_path / 'file').touch()
    (tmp_path / 'folder' / 'videos.parquet').mkdir(parents=True)
    with pytest.raises(FileError, match='cannot be written|not a file'):
        synthesize(tmp_path / place, SMALL, workers=0, progress=False)
    assert len(list(tmp_path.rglob('*'))) == 3


def test_a_video_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / 'lip_sync' / 'c23' / '0001_p001_p000.mp4').mkdir(parents=True)
    with pytest.raises(ThreedadError, match='video 1: .*0001_p001_p000.mp4'):
        synthesize(tmp_path, SMALL, workers=0, progress=False)
    assert (tmp_path / 'truth' / '0000.parquet').exists()
    assert not (tmp_path / 'threedad.lock').exists()
