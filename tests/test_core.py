"What every module leans on: outputs checked first, process-wide state under a lock, progress, JSON."

import io, itertools, json, os, subprocess, sys, threading, time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from threedad import core
from threedad.core import (
    FileError,
    Shared,
    ThreedadError,
    atomic_path,
    check_output,
    one_thread,
    progress,
    quiet_stderr,
    read_json,
    to_json,
    write_json,
)

VIDEO = ('.mp4', '.mkv', '.mov')


@pytest.mark.parametrize('name', ['x', 'x.webm', 'x.gif', 'x.mp4.txt', '.mp4'])
def test_other_suffixes_are_refused(name, tmp_path):
    with pytest.raises(FileError, match=r'must end in \.mp4, \.mkv or \.mov'):
        check_output(tmp_path / name, VIDEO)
    assert check_output(tmp_path / name) == tmp_path / name


@pytest.mark.parametrize('name', ['x.mp4', 'X.MP4', 'new/folder/x.mkv', 'ümläut and space.mov'])
def test_good_outputs_are_let_through_and_nothing_is_made(name, tmp_path):
    assert check_output(tmp_path / name, VIDEO) == tmp_path / name
    assert list(tmp_path.iterdir()) == []


def test_places_where_nothing_can_be_written_are_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'folder.mp4').mkdir()
    places = [
        tmp_path / 'file' / 'x.mp4',
        tmp_path / 'folder.mp4',
        tmp_path / ('a' * 300 + '.mp4'),
    ]
    if sys.platform == 'linux':
        places.append(Path('/proc/x.mp4'))
    if hasattr(os, 'geteuid') and os.geteuid():
        (tmp_path / 'locked').mkdir(mode=0o500)
        places.append(tmp_path / 'locked' / 'x.mp4')
    for place in places:
        with pytest.raises(FileError) as e:
            check_output(place, VIDEO)
        assert str(e.value).startswith(f'{place}: ') and '\n' not in str(e.value)
    with mock.patch(
        'tempfile.TemporaryFile', side_effect=PermissionError(13, 'Permission denied')
    ):
        with pytest.raises(FileError, match='permission denied'):
            check_output(tmp_path / 'x.mp4')


def _in_threads(n, work):
    threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


@pytest.mark.parametrize('hold', [quiet_stderr, one_thread])
def test_process_state_survives_many_threads(hold):
    import cv2, torch

    def state():
        return os.stat(2).st_ino, cv2.getNumThreads(), torch.get_num_threads()

    cv2.setNumThreads(2)
    before, steps = state(), itertools.count()

    def work(i):
        for _ in range(20):
            with hold():
                time.sleep(0.001 * ((i * 7 + next(steps)) % 5))

    _in_threads(8, work)
    assert state() == before
    with pytest.raises(RuntimeError), hold():
        raise RuntimeError
    assert state() == before


def test_the_first_to_enter_may_be_the_first_to_leave():
    said = []

    def change():
        said.append('changed')
        return lambda: said.append('undone')

    shared = Shared(change)
    a, b, c = shared.held(), shared.held(), shared.held()
    a.__enter__(), b.__enter__(), a.__exit__(None, None, None), c.__enter__()
    assert said == ['changed']
    b.__exit__(None, None, None), c.__exit__(None, None, None)
    assert said == ['changed', 'undone']
    with shared.held():
        pass
    assert said == ['changed', 'undone'] * 2


FORKED = """
import os, sys, threading, warnings
from threedad.core import one_thread, quiet_stderr
warnings.simplefilter('always')
{before}
if os.fork() == 0:
    with one_thread(), one_thread():
        pass
    os.write(2, b'end of child')
    os._exit(0)
os.wait()
"""
THREAD = """
inside = threading.Event()
def hold():
    with quiet_stderr():
        inside.set()
        threading.Event().wait(1)
threading.Thread(target=hold).start()
inside.wait()
"""


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='no fork on this system')
@pytest.mark.parametrize(
    'before, warned',
    [
        ('', 0),
        ('with one_thread(): pass', 1),
        (THREAD, 0),
        ('with one_thread(): pass' + THREAD, 1),
    ],
)
def test_fork_after_use_is_said_once_and_frees_what_it_took(before, warned):
    done = subprocess.run(
        [sys.executable, '-c', FORKED.format(before=before)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and 'end of child' in done.stderr
    assert done.stderr.count('this process was forked') == warned


def _lines(seconds, n, **settings):
    log, now = io.StringIO(), [0.0]
    with mock.patch.object(sys, 'stderr', log), mock.patch('tqdm.std.time', lambda: now[0]):
        for _ in progress(range(n), 'work', unit='step', **settings):
            now[0] += seconds / n
    return log.getvalue().splitlines()


def test_progress_in_a_log_is_a_line_every_ten_seconds():
    assert _lines(1.9, 10) == []
    assert _lines(5, 10) == ['work: 10 step in 00:05, 2.00step/s']
    for seconds, n in ((35, 35), (35, 3500), (95, 200)):
        lines = _lines(seconds, n)
        assert len(lines) == seconds // 10 + 1 and all(x.startswith('work: ') for x in lines)
        assert f'/{n} step, ' in lines[0] and lines[0].endswith(' left')
    assert _lines(60, 60, disable=True) == []
    with mock.patch.dict(os.environ, TQDM_DISABLE='1'):
        assert _lines(60, 60) == []


def test_a_postfix_prints_no_lines_of_its_own():
    log, now = io.StringIO(), [0.0]
    with mock.patch.object(sys, 'stderr', log), mock.patch('tqdm.std.time', lambda: now[0]):
        with progress(total=25, desc='train', unit='step') as bar:
            for i in range(25):
                now[0] += 1
                bar.update()
                bar.set_postfix(loss=i)
    lines = log.getvalue().splitlines()
    assert len(lines) == 3 and 'loss=' in lines[1]


def test_progress_is_a_bar_on_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    with mock.patch.object(sys, 'stderr', Terminal()):
        list(progress(range(3), 'short'))
        assert sys.stderr.getvalue() == ''
        list(progress(range(3), 'long', delay=0))
        assert '\r' in sys.stderr.getvalue() and '100%' in sys.stderr.getvalue()


@pytest.mark.parametrize(
    'value',
    [
        dict(n=np.int64(3), auc=np.float64(0.5), a=np.arange(3)),
        dict(path=os.fsdecode(b'/tmp/\xff\xfe.mp4')),
        ['ümläut', None, float('inf'), [1, [2]]],
    ],
)
def test_json_survives(value, tmp_path):
    again = read_json(write_json(value, tmp_path / 'x.json'))
    assert again == json.loads(to_json(value))
    if 'path' in value:
        assert again == value


def test_atomic_path_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError), atomic_path(tmp_path / 'x.txt') as p:
        p.write_text('half')
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('error', core.ThreedadError.__subclasses__())
def test_errors_survive_the_trip_between_processes(error):
    import pickle

    e = error('a.mp4', 'two\nlines') if issubclass(error, FileError) else error('words')
    again = pickle.loads(pickle.dumps(e))
    assert str(again) == str(e) and '\n' not in str(e) and isinstance(again, ThreedadError)
