"Functions in processes of their own: from any kind of program, with nothing lost and nothing left behind."

import json, multiprocessing, os, subprocess, sys, threading, time, warnings
from pathlib import Path

import pytest

from threedad import core
from threedad.core import VideoError
from threedad.workers import in_threads, isolated, one_writer, pooled

JOBS = ['2', '[1, 3]', 'not json', '{"a": null}']
SCRIPT = """
import json, warnings
warnings.simplefilter('error')
from threedad.workers import isolated, pooled
found = sorted(str(answer) for _, answer, _ in pooled(json.loads, ['2', '1', '3'], workers=2))
print(found + [isolated(json.loads, '4')])
"""
ANSWER = "['1', '2', '3', 4]"


def _sorted(results):
    return sorted(results, key=lambda r: JOBS.index(r[0]))


@pytest.mark.parametrize('n', [0, 1, 2, 7])
def test_every_job_has_an_answer(n):
    results = _sorted(pooled(json.loads, JOBS, n, 60.0))
    assert [r[1] for r in results] == [2, [1, 3], None, {'a': None}]
    assert [bool(r[2]) for r in results] == [False, False, True, False]
    assert 'JSONDecodeError' in results[2][2]
    assert list(pooled(json.loads, [], n, 60.0)) == []


def _python(*args, **kwargs):
    return subprocess.run(
        [sys.executable, *args], capture_output=True, text=True, timeout=120, **kwargs
    )


def test_a_script_without_a_guard(tmp_path):
    (tmp_path / 'script.py').write_text(SCRIPT)
    done = _python(tmp_path / 'script.py')
    assert done.stdout.splitlines() == [ANSWER], done.stderr


def test_a_script_from_standard_input():
    done = _python('-', input=SCRIPT)
    assert done.stdout.splitlines() == [ANSWER], done.stderr


def test_a_command_and_a_module(tmp_path):
    (tmp_path / 'unguarded.py').write_text(SCRIPT)
    for args in (('-c', SCRIPT), ('-m', 'unguarded')):
        done = _python(*args, env=os.environ | dict(PYTHONPATH=f'{tmp_path}:{Path.cwd()}'))
        assert done.stdout.splitlines() == [ANSWER], done.stderr


def _nested(jobs):
    return sorted(str(answer) for _, answer, _ in pooled(json.loads, jobs, 2, 60.0))


@pytest.mark.parametrize('method', multiprocessing.get_all_start_methods())
def test_inside_a_pool_whose_processes_are_daemons(method):
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(_nested, (['3', '1'],)) == ['1', '3']


def test_inside_a_worker():
    assert isolated(_nested, ['3', '1']) == ['1', '3']


def test_inside_threads():
    found = {}

    def work(i):
        found[i] = _nested([str(i)])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == {i: [str(i)] for i in range(4)}


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_a_notebook(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    cells = [SCRIPT, "def mine(x): return x + 1\nsorted(a for _, a, _ in pooled(mine, [1, 2], 2))"]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nb.cells[1].source = "warnings.simplefilter('always')\n" + nb.cells[1].source
    NotebookClient(nb, timeout=120, resources=dict(metadata=dict(path=str(Path.cwd())))).execute()
    said = [o.get('text', '') + str(o.get('data', '')) for c in nb.cells for o in c.outputs]
    assert ANSWER in said[0] and '[2, 3]' in said[-1]
    assert any('runs in this process' in s for s in said)


class Local:
    @staticmethod
    def method(x):
        return [x]


def test_what_cannot_be_imported_runs_here_with_a_warning():
    def inner(x):
        return [x]

    def missing(x):
        return [x]

    missing.__module__, missing.__qualname__ = 'no_such_module', 'missing'
    for function in (inner, lambda x: [x], missing):
        with pytest.warns(UserWarning, match='runs in this process'):
            assert sorted(a for _, a, _ in pooled(function, [1, 2], 2, 60.0)) == [[1], [2]]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert [a for _, a, _ in pooled(Local.method, [1], 1, 60.0)] == [[1]]


def test_a_system_without_processes(monkeypatch):
    def refuse(*args, **kwargs):
        raise BlockingIOError(11, 'Resource temporarily unavailable')

    monkeypatch.setattr(subprocess, 'Popen', refuse)
    with pytest.warns(UserWarning, match='runs in this process.*unavailable'):
        assert isolated(json.loads, '4') == 4


def _fate(job):
    if job == 'crash':
        os.abort()
    if job == 'leave':
        os._exit(3)
    if job == 'sleep':
        time.sleep(60)
    if job == 'print':
        os.write(1, b'noise on standard output\n')
        print('more noise')
    return job


def test_whoever_dies_costs_one_job():
    jobs = ['a', 'crash', 'b', 'leave', 'sleep', 'print', 'c']
    results = {job: (answer, why) for job, answer, why in pooled(_fate, jobs, 2, 2.0)}
    assert {job for job, (answer, _) in results.items() if answer == job} == {*'abc', 'print'}
    assert 'SIGABRT' in results['crash'][1] or 'exit code' in results['crash'][1]
    assert 'exit code 3' in results['leave'][1] and 'took too long' in results['sleep'][1]


def test_isolated_contains(tmp_path, capfd):
    with pytest.raises(VideoError, match='no such|not readable as JSON'):
        isolated(core.read_json, tmp_path / 'nothing.json')
    with pytest.raises(VideoError, match='SIGABRT|exit'):
        isolated(os.abort)
    with pytest.raises(VideoError, match='not finished'):
        isolated(time.sleep, 30, timeout=1)
    with pytest.raises(VideoError, match='JSONDecodeError'):
        isolated(json.loads, '{')
    assert capfd.readouterr().err == ''


def test_the_environment_and_handlers_are_left_alone():
    import signal

    def state():
        return dict(os.environ), [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]

    before, during = state(), []
    for _ in pooled(json.loads, ['1', '2', '3'], 2, 60.0):
        during.append(state())
    assert state() == before and all(d == before for d in during)


def test_workers_use_one_thread_each():
    results = list(pooled(os.getenv, ['OMP_NUM_THREADS', 'NUMBA_NUM_THREADS'], 1, 60.0))
    assert [answer for _, answer, _ in results] == ['1', '1']


@pytest.mark.skipif(sys.platform != 'linux', reason='looks into /proc')
def test_no_process_is_left_behind():
    def children():
        lists = Path('/proc/self/task').glob('*/children')
        return {child for path in lists for child in path.read_text().split()}

    before = children()
    results = pooled(_fate, ['a', 'sleep', 'sleep'], 2, 60.0)
    next(results)
    assert children() != before
    results.close()
    assert children() == before


HOLD = """
import sys, time
from threedad.workers import one_writer
with one_writer(sys.argv[1]):
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
        with one_writer(tmp_path, patience=0.2):
            waited = time.monotonic() - started
    p.wait()
    assert 0.5 < waited < 20


def test_a_dead_writer_does_not_block(tmp_path):
    p = hold(tmp_path)
    p.kill()
    p.wait()
    started = time.monotonic()
    with one_writer(tmp_path, patience=5):
        pass
    assert time.monotonic() - started < 4


@pytest.mark.parametrize('content', ['', 'not json', json.dumps(dict(pid=1)), '[]'])
def test_what_a_dead_writer_left_does_not_block(tmp_path, content):
    for name in ('threedad.lock', 'threedad-writer.json'):
        (tmp_path / name).write_text(content)
    with warnings.catch_warnings(action='error'):
        with one_writer(tmp_path, patience=1):
            assert (tmp_path / 'threedad-writer.json').is_file()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_threads_keep_the_order_of_the_jobs(threads, count):
    def late(n):
        time.sleep(0.002 * (count - n))
        return n * n

    assert list(in_threads(late, ((n,) for n in range(count)), threads)) == [
        n * n for n in range(count)
    ]


def test_a_job_that_fails_in_a_thread_raises_in_its_place():
    results = in_threads(lambda n: 1 / n, ((n,) for n in (2, 1, 0, 3)))
    assert [next(results), next(results)] == [0.5, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
