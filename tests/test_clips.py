"""Short real-world videos: each gets a score. Skipped where the folder of clips is absent."""

import functools, itertools, json, os, subprocess, sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from threedad import cli, facevideo, video
from threedad.corpora import scan_folder
from threedad.fit import fit
from threedad.forge import MANIPULATIONS, forge

CLIPS = Path(
    os.environ.get('THREEDAD_CLIPS', Path(__file__).resolve().parents[2] / 'shared' / 'clips')
)
FILES = (
    pd.read_csv(CLIPS / 'manifest.csv').path.tolist() if (CLIPS / 'manifest.csv').exists() else []
)
pytestmark = pytest.mark.skipif(not FILES, reason=f'no clips in {CLIPS}')


def check(text, name):
    v = json.loads(text)
    assert v['video'].endswith(name) and 0 <= v['score'] <= 1
    assert v['faces_found'] >= 0.9 * v['frames'] and all(0 <= c['score'] <= 1 for c in v['clips'])


@pytest.mark.parametrize('name', FILES)
def test_every_clip_gets_a_score(name, capsys, monkeypatch):
    monkeypatch.setattr(
        facevideo, 'isolated', lambda function, *args, timeout, **kwargs: function(*args, **kwargs)
    )
    assert cli.main(['detect', str(CLIPS / name), '--json']) == 0
    check(capsys.readouterr().out, name)


@pytest.mark.parametrize('name', FILES[-2:])
def test_the_command_itself(name):
    p = subprocess.run(
        [
            sys.executable,
            '-c',
            'import sys; from threedad.cli import main; sys.exit(main())',
            'detect',
            str(CLIPS / name),
            '--json',
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert p.returncode == 0, p.stderr
    check(p.stdout, name)


def test_the_manifest_is_read():
    t = scan_folder(CLIPS)
    assert (
        len(t) == len(FILES)
        and t.video_id.is_unique
        and (t.label.value_counts().to_dict() == {0: 13, 1: 10})
    )
    pairs = t[t.manipulation == 'dfl_swap'].group
    assert pairs.isin(t.group[t.label == 0]).all()


REAL = [p for p in FILES if p.startswith('real')]


@functools.cache
def seen(name):  # faces and thumbnails of all frames, one shot and one person by eye
    footage = video.Footage(CLIPS / name, progress=False)
    for _ in footage:
        pass
    return footage


@pytest.mark.parametrize('name', REAL)
def test_the_person_is_followed_from_end_to_end(name):
    footage = seen(name)
    t = footage.track(footage.people()[0])
    assert t.found.mean() >= 0.95 and len(np.unique(t.shot)) == 1


@functools.cache
def fitted(name):  # the first frames and the whole trajectory
    footage = seen(name)
    return [f.image for f in video.read_frames(CLIPS / name, stop=12)], fit(
        footage.track(footage.people()[0])
    ).table


@pytest.mark.parametrize('name', REAL)
def test_every_manipulation_alters_the_face_and_nothing_else(name):
    (frames, table), other = fitted(name), fitted(REAL[REAL.index(name) - 1])
    first = lambda t: t[t.frame < 12]
    for kind in MANIPULATIONS:
        with threadpool_limits(1):
            out, masks = forge(
                kind,
                frames,
                first(table),
                (other[0], first(other[1])),
                other[1],
                seed=1,
                strength=0.3,
            ).apply(frames)
        for a, b, m in zip(frames, out, masks):
            assert b.shape == a.shape and (a == b)[m == 0].all()
        inside = np.mean(
            [np.abs(a.astype(int) - b)[m > 128].mean() for a, b, m in zip(frames, out, masks)]
        )
        assert inside > 1 and 0.002 < np.mean([m > 128 for m in masks]) < (
            1 if kind == 'talking_head' else 0.6
        ), kind


def test_faces_are_known_again_after_a_cut_and_strangers_are_not():
    r, followed, wrong, pairs = np.random.default_rng(0), 0, 0, 0

    def person(name):
        return '_'.join(name.split('/')[1].split('_')[:3])

    for a, b in itertools.permutations(REAL, 2):
        if person(a) == person(b):
            continue
        i, j = (r.integers(0, max(len(seen(c).seen) - 50, 1)) for c in (a, b))
        parts = [seen(a).seen[i : i + 25], seen(b).seen[j : j + 25], seen(a).seen[i + 25 : i + 50]]
        shot = np.repeat(range(3), list(map(len, parts)))
        shots = [set(shot[list(p)]) for p in video._people(sum(parts, []), shot)]
        followed += any({0, 2} <= s for s in shots)
        wrong += any(1 in s and len(s) > 1 for s in shots)
        pairs += 1
    assert pairs == 152 and followed >= 0.85 * pairs and wrong <= 0.01 * pairs
