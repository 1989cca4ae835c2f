"""What lies in a store, whose it is, and who may write to it."""

import json
import subprocess
import sys
import threading
import time
import warnings

import pytest

from threedad.storefiles import crops_file, file_stem, leftovers, row_file, writing

IDS = ['plain', 'a/b/c', 'x' * 300, 'ünïcode', 'a b\tc', '../../etc/passwd', 'CON', '.hidden']


@pytest.mark.parametrize('video_id', IDS)
def test_a_file_stays_in_its_folder(tmp_path, video_id):
    for file in (crops_file(tmp_path, video_id), row_file(tmp_path, video_id)):
        assert file.parent.parent == tmp_path and len(file.name) < 128
        assert not file.name.startswith('.')


def test_ids_that_look_alike_get_files_of_their_own():
    assert len({file_stem(i) for i in [*IDS, 'a_b_c', 'a/b_c', 'A/B/C']}) == len(IDS) + 3


@pytest.mark.parametrize('foreign', ['.env', 'crops/mine.parquet', 'rows/.mine', 'sub/.secret'])
def test_foreign_files_are_no_leftovers(tmp_path, foreign):
    (tmp_path / foreign).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / foreign).write_text('mine')
    assert tmp_path / foreign not in leftovers(tmp_path, ['a', 'b'])


HOLD = """
import sys, time
from threedad.storefiles import writing
with writing(sys.argv[1]):
    print('held', flush=True)
    time.sleep(600)
"""


def hold(folder):
    p = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert p.stdout.readline() == 'held\n'
    return p


@pytest.mark.parametrize('note', [None, '', '{"pid": 1}', '[]'])
def test_a_second_writer_says_whom_it_waits_for(tmp_path, note):
    p = hold(tmp_path)
    if note is not None:
        (tmp_path / 'threedad-writer.json').write_text(note)
    who = f'process {p.pid} on ' if note is None else 'another process'
    end = threading.Timer(1.0, p.kill)
    end.start()
    started = time.monotonic()
    with pytest.warns(UserWarning, match=f'waiting for {who}'):
        with writing(tmp_path, patience=0.2):
            waited = time.monotonic() - started
    p.wait()
    assert 0.5 < waited < 20


def test_a_dead_writer_does_not_block(tmp_path):
    p = hold(tmp_path)
    p.kill()
    p.wait()
    started = time.monotonic()
    with writing(tmp_path, patience=5):
        pass
    assert time.monotonic() - started < 4


@pytest.mark.parametrize('content', ['', 'not json', json.dumps(dict(pid=1)), '[]'])
def test_what_a_dead_writer_left_does_not_block(tmp_path, content):
    for name in ('threedad.lock', 'threedad-writer.json'):
        (tmp_path / name).write_text(content)
    with warnings.catch_warnings(action='error'):
        with writing(tmp_path, patience=1):
            assert (tmp_path / 'threedad-writer.json').is_file()
    assert not list(tmp_path.iterdir())
