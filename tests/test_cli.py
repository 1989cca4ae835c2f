"""The command line: what it prints, what it leaves, what it says when something is wrong."""

import json, re, subprocess, sys
from pathlib import Path

import pandas as pd
import pytest

from helpers import videos
from threedad import cli, corpus, facevideo, splits
from threedad.motion import BLENDSHAPE_COLUMNS, TRAJECTORY_COLUMNS
from threedad.visibility import QUALITY_COLUMNS

COMMANDS = ['synth', 'forge', 'track', 'train', 'evaluate', 'detect', 'demo']


@pytest.fixture
def run(capfd):
    "Run the command in this process: exit code, standard output, error stream."

    def go(*argv):
        try:
            code = cli.main([str(a) for a in argv])
        except SystemExit as e:
            code = e.code
        out, err = capfd.readouterr()
        return code, out, err

    return go


@pytest.fixture
def here(monkeypatch):
    "Analyse in this process instead of a child, to save its start."
    monkeypatch.setattr(
        facevideo, 'isolated', lambda function, *args, timeout, **kwargs: function(*args, **kwargs)
    )


def threedad(*argv, **kw):
    return subprocess.run(
        [
            sys.executable,
            '-c',
            'import sys; from threedad.cli import main; sys.exit(main())',
            *map(str, argv),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        **kw,
    )


UNUSABLE = [*videos.BROKEN, *videos.FACELESS, 'one_frame']
CAUSES = dict(
    missing='no such file',
    folder='folder',
    empty='empty',
    text='not a video',
    playlist='not a video',
    no_index='cut off',
    audio='no video stream',
    no_face='no face',
    one_frame='a face in only 1 of 1 frames',
)


@pytest.mark.parametrize('command', ['track', 'detect'])
@pytest.mark.parametrize('kind', UNUSABLE)
def test_bad_input_is_one_line_and_leaves_nothing(kind, command, tmp_path, run, here):
    path, out = videos.make(kind, tmp_path), tmp_path / 'out'
    wanted = ['--out', out] if command == 'track' else ['--json', '--report', out / 'report.html']
    code, stdout, stderr = run(command, path, *wanted)
    assert code == 2 and stdout == '' and not out.exists()
    assert (
        stderr.count('\n') == 1
        and str(path) in stderr
        and CAUSES[kind] in stderr
        and 'Traceback' not in stderr
    )


def test_bad_input_in_a_real_process(tmp_path):
    path = videos.make('text', tmp_path)
    p = threedad('detect', path, '--json')
    assert (p.returncode, p.stdout, p.stderr.count('\n')) == (2, '', 1) and p.stderr.startswith(
        f'threedad: {path}: not a video'
    )
    p = threedad('detect', path, '--json', '--debug')
    assert p.returncode == 2 and 'Traceback' in p.stderr and p.stdout == ''


@pytest.mark.parametrize('kind', [k for k in videos.ODD if k != 'one_frame'])
def test_odd_videos_get_a_score(kind, tmp_path, run, here):
    code, out, err = run('detect', videos.make(kind, tmp_path), '--json')
    assert (code, err) == (0, '')
    v = json.loads(out)
    assert 0 <= v['score'] <= 1 and v['faces_found'] == v['frames'] == 12
    assert (kind == 'two_faces') == any('2 faces' in w for w in v['warnings'])


@pytest.mark.parametrize('kind', videos.HALF)
def test_half_videos_say_so(kind, tmp_path, run, here):
    path = videos.make(kind, tmp_path)
    code, out, err = run('detect', path, '--json')
    about = json.loads(out)['warnings'][0] if code == 0 else err
    assert (
        code in (0, 2)
        and ('truncated after frame' if kind == 'truncated' else 'damaged') in about
        and about.count('\n') == (code == 2)
    )


def test_detect_json(tmp_path, run):
    path = videos.make('sample', tmp_path)
    code, out, err = run('detect', path, '--json', '--report', tmp_path / 'report.html')
    assert (code, err) == (0, '')
    v = json.loads(out)
    assert {
        'video',
        'score',
        'clips',
        'frames',
        'faces_found',
        'detector',
        'notice',
        'trained_on',
    } <= set(v)
    assert v['frames'] == v['faces_found'] == 12 and v['video'] == str(path)
    assert v['score'] == pytest.approx(
        sum(c['score'] for c in v['clips']) / len(v['clips']), abs=1e-5
    )
    assert [c['time'] for c in v['clips']] == pytest.approx(
        [c['first_frame'] / 25 for c in v['clips']], abs=1e-3
    )
    page = (tmp_path / 'report.html').read_text()
    assert 'not fit for court' in page and len(page) < 6e6
    assert not re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?!data:)', page)
    again = json.loads(run('detect', path, '--json')[1])
    assert again == v


def test_detect_for_people(tmp_path, run, here):
    code, out, err = run('detect', videos.make('sample', tmp_path))
    assert code == 0 and 'score 0.' in out and 'not evidence' in out


def test_track_writes_every_column(tmp_path, run):
    code, out, err = run(
        'track', videos.make('sample', tmp_path), '--out', tmp_path / 'out', '--csv'
    )
    assert code == 0 and err == '' and '12 rows' in out
    t = pd.read_parquet(tmp_path / 'out' / 'trajectories.parquet')
    assert (
        list(t) == TRAJECTORY_COLUMNS + BLENDSHAPE_COLUMNS + QUALITY_COLUMNS
        and len(t) == 12
        and t.notna().all().all()
    )
    assert list(pd.read_csv(tmp_path / 'out' / 'trajectories.csv')) == list(t)
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == [
        'errors.parquet',
        'frames.parquet',
        'track.npz',
        'trajectories.csv',
        'trajectories.parquet',
        'trajectories.png',
    ]
    e = pd.read_parquet(tmp_path / 'out' / 'errors.parquet')
    assert (
        (e.frame == t.frame).all()
        and set(e) < set(t)
        and (e[['yaw', 'pitch', 'scale', 'id_00', 'exp_00', 'jawOpen']] > 0).all().all()
    )
    f = pd.read_parquet(tmp_path / 'out' / 'frames.parquet')
    assert (
        len(f) == 12 and f.face_found.all() and (f.frame == t.frame).all() and (f.shot == 0).all()
    )


def test_frames_without_a_face_are_rows(tmp_path, run, here):
    one, other = videos.cast()
    path = videos.write_video(tmp_path / 'cut.mp4', one[:20] + other[:8], 25)
    code, out, err = run('track', path, '--out', tmp_path / 'out')
    f, t = (
        pd.read_parquet(tmp_path / 'out' / name)
        for name in ('frames.parquet', 'trajectories.parquet')
    )
    assert (
        code == 0
        and len(f) == 28
        and f.face_found.sum() == len(t) == 20
        and list(f.shot[19:21]) == [0, 1]
    )


@pytest.mark.parametrize(
    'argv, cause',
    [
        (['detect', '{video}', '--detector', '{tmp}/none.safetensors'], 'no such file'),
        (['detect', '{video}', '--detector', '{video}'], 'not a safetensors file'),
        (['train', '--store', '{tmp}/none', '--out', '{tmp}/run'], 'not a folder'),
        (['evaluate', '--store', '{tmp}', '--out', '{tmp}/run'], 'no store.json'),
    ],
)
def test_wrong_files_are_named(argv, cause, tmp_path, run, here):
    video = videos.make('sample', tmp_path)
    code, out, err = run(*[a.format(tmp=tmp_path, video=video) for a in argv])
    assert (
        code == 2
        and out == ''
        and err.count('\n') == 1
        and cause in err
        and not (tmp_path / 'run').exists()
    )


def test_an_output_folder_that_is_a_file(tmp_path, run, here):
    (tmp_path / 'out').write_text('mine')
    code, out, err = run('track', videos.make('sample', tmp_path), '--out', tmp_path / 'out')
    assert (
        code == 2
        and out == ''
        and err.count('\n') == 1
        and 'out' in err
        and (tmp_path / 'out').read_text() == 'mine'
    )


@pytest.mark.parametrize(
    'argv',
    [
        [],
        ['nonsense'],
        ['detect'],
        ['synth', '--out', 'x', '--videos', '0'],
        ['synth', '--out', 'x', '--videos', 'many'],
        ['synth', '--out', 'x', '--manipulations', 'morph'],
        ['forge', 'x.mp4', '--out', 'y.mp4'],
    ],
)
def test_wrong_arguments(argv, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*argv)
    assert code == 2 and out == '' and 'usage: threedad' in err and not list(tmp_path.iterdir())


def test_help(run):
    code, out, _ = run('--help')
    assert code == 0 and all(f'\n    {c} ' in out for c in COMMANDS) and 'examples:' in out
    for c in COMMANDS:
        code, out, _ = run(c, '--help')
        assert code == 0 and f'threedad {c}' in out.split('examples:')[1]


def test_help_is_fast():
    heavy = ('torch', 'pandas', 'cv2', 'av', 'numba', 'plotly')
    modules = (
        'import sys\nfrom threedad.cli import main\n'
        'try: main(["--help"])\nexcept SystemExit: pass\n'
        f'print([m for m in {heavy} if m in sys.modules])'
    )
    p = subprocess.run([sys.executable, '-c', modules], capture_output=True, text=True)
    assert p.stdout.endswith('[]\n')


def test_interrupted(monkeypatch, run, tmp_path):
    import threedad.detect

    def interrupted(*a, **k):
        raise KeyboardInterrupt

    monkeypatch.setattr(threedad.detect, 'detect', interrupted)
    code, out, err = run('detect', 'x.mp4')
    assert (code, out, err.count('\n')) == (130, '', 1) and 'interrupted' in err


def test_bugs_are_called_bugs(monkeypatch, run):
    import threedad.detect

    def broken(*a, **k):
        return {}['key']

    monkeypatch.setattr(threedad.detect, 'detect', broken)
    code, out, err = run('detect', 'x.mp4')
    assert code == 1 and err.count('\n') == 1 and 'a bug' in err
    assert 'Traceback' in run('detect', 'x.mp4', '--debug')[2]


def test_the_whole_road_in_miniature(tmp_path, run):
    argv = [
        'demo',
        '--out',
        tmp_path / 'demo',
        '--videos',
        6,
        '--people',
        6,
        '--frames',
        8,
        '--size',
        192,
        '--epochs',
        1,
        '--seed',
        3,
    ]
    code, out, err = run(*argv)
    assert code == 0, err
    m = json.loads((tmp_path / 'demo' / 'metrics.json').read_text())
    assert (
        {'video_auc', 'video_auc_ci', 'counts', 'seed', 'versions', 'seconds'} <= set(m)
        and m['seed'] == 3
        and m['counts']['videos'] == 18
    )
    assert (
        set(m['seconds']) == {'generate', 'preprocess', 'train', 'evaluate', 'total'}
        and 'video AUC' in out
        and 'report.html' in out
    )
    store, p = (
        corpus.Store(tmp_path / 'demo' / 'store'),
        pd.read_parquet(tmp_path / 'demo' / 'predictions.parquet'),
    )
    splits.assert_no_leak(store.videos)
    assert (
        set(p.video_id) == set(store.videos.video_id[store.videos.split == 'test'])
        and p.score.between(0, 1).all()
    )
    assert {f.name for f in (tmp_path / 'demo' / 'figures').iterdir()} == {
        'roc.png',
        'trajectories.png',
    }
    before = {
        f: f.stat().st_mtime_ns
        for f in (tmp_path / 'demo').rglob('*')
        if f.suffix in ('.mp4', '.parquet', '.safetensors', '.png')
    }
    code, out, err = run(*argv)
    assert code == 0 and err.count('done before') == 4
    assert before == {f: f.stat().st_mtime_ns for f in before}
    code, out, err = run(
        'detect',
        tmp_path / 'demo' / 'videos' / 'original' / 'c23' / '0000_p000.mp4',
        '--detector',
        tmp_path / 'demo' / 'detector.safetensors',
        '--json',
    )
    assert code == 0 and 'synth' in json.loads(out)['trained_on']


def test_the_command_knows_every_manipulation(run):
    from threedad.forge import MANIPULATIONS

    for command in ('forge', 'synth'):
        said = run(command, '--help')[1]
        assert all(kind in said for kind in MANIPULATIONS)


def test_forge_leaves_a_video_that_says_what_it_is(tmp_path, run):
    from threedad.forge import read_provenance

    code, out, err = run(
        'forge',
        Path(__file__).resolve().parents[1] / 'data/sample/talking_head.mp4',
        '--manipulation',
        'self_blend',
        '--out',
        tmp_path / 'f.mp4',
        '--mask',
        tmp_path / 'm.mp4',
        '--strength',
        '.8',
    )
    assert (
        code == 0
        and 'altered' in out
        and (tmp_path / 'm.mp4').exists()
        and (tmp_path / 'f.parquet').exists()
    )
    assert read_provenance(tmp_path / 'f.mp4')['strength'] == 0.8


@pytest.mark.parametrize('kind', [k for k in UNUSABLE if k != 'one_frame'])
def test_forge_refuses_bad_input_in_one_line(kind, tmp_path, run):
    path = videos.make(kind, tmp_path)
    code, out, err = run('forge', path, '--manipulation', 'lip_sync', '--out', tmp_path / 'f.mp4')
    assert (
        code == 2
        and out == ''
        and str(path) in err
        and 'Traceback' not in err
        and not (tmp_path / 'f.mp4').exists()
    )


def test_synth_takes_kinds_compressions_and_difficulties(tmp_path, run):
    code, out, err = run(
        'synth',
        '--out',
        tmp_path,
        '--people',
        4,
        '--videos',
        4,
        '--frames',
        4,
        '--size',
        64,
        '--manipulations',
        'autoencoder',
        'self_blend',
        '--compression',
        'c23',
        'c40',
        '--difficulty',
        'easy',
        'hard',
        '--workers',
        1,
    )
    table = pd.read_parquet(tmp_path / 'videos.parquet')
    assert code == 0 and '24 videos' in out and len(table) == 24
    assert (
        set(table.manipulation) == {'original', 'autoencoder', 'self_blend'}
        and set(table.compression) == {'c23', 'c40'}
        and set(table.difficulty) == {'easy', 'hard'}
    )
