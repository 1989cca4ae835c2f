"""Short real-world videos: each gets a score, a track and a fit. Skipped where the folder of clips is absent."""

import functools
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from threedad import cli, facevideo
from threedad.core import one_thread
from threedad.corpora import scan_folder
from threedad.faces import ShotDetector, group_faces
from threedad.fit import fit
from threedad.forge import MANIPULATIONS, forge
from threedad.tracking import Footage, people_in, track_of
from threedad.video import read_frames
from threedad.visibility import covered_frames

SHARED = Path(__file__).resolve().parents[2] / 'shared' / 'clips'
CLIPS = Path(os.environ.get('THREEDAD_CLIPS', SHARED))
TABLE = CLIPS / 'manifest.csv'
FILES = pd.read_csv(TABLE).path.tolist() if TABLE.exists() else []
SOME = FILES[::14]  # of each method one or two; all of them are run with the slow tests
REAL = [p for p in FILES if p.startswith('real')]
JUMPS = ['real/styletalk_style_sadgirl_clip1.mp4']  # its first frame is of before a jump
pytestmark = pytest.mark.skipif(not FILES, reason=f'no clips in {CLIPS}')


def some_and_all(files, some):
    slow = [pytest.param(f, marks=pytest.mark.slow) for f in files if f not in some]
    return [*some, *slow]


def check(text, name):
    v = json.loads(text)
    assert v['video'].endswith(name) and 0 <= v['score'] <= 1
    assert v['faces_found'] >= 0.9 * v['frames'] and all(0 <= c['score'] <= 1 for c in v['clips'])


@pytest.mark.parametrize('name', some_and_all(FILES, SOME))
def test_every_clip_gets_a_score(name, capsys, monkeypatch):
    def here(function, *args, timeout, **kwargs):
        return function(*args, **kwargs)

    monkeypatch.setattr(facevideo, 'isolated', here)
    assert cli.main(['detect', str(CLIPS / name), '--json']) == 0
    check(capsys.readouterr().out, name)


@pytest.mark.parametrize('name', FILES[-1:])
def test_the_command_itself(name):
    code = 'import sys; from threedad.cli import main; sys.exit(main())'
    argv = [sys.executable, '-c', code, 'detect', str(CLIPS / name), '--json']
    p = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert p.returncode == 0, p.stderr
    check(p.stdout, name)


def test_the_manifest_is_read():
    t = scan_folder(CLIPS)
    assert len(t) == len(FILES) and t.video_id.is_unique
    labels = pd.read_csv(TABLE).label.value_counts().to_dict()
    assert t.label.value_counts().to_dict() == labels and set(labels) == {0, 1}
    pairs = t[t.manipulation == 'dfl_swap'].group
    assert len(pairs) and pairs.isin(t.group[t.label == 0]).all()


@functools.cache
def seen(name):  # faces and thumbnails of all frames, one person by eye
    footage = Footage(CLIPS / name, progress=False)
    for _ in footage:
        pass
    return footage


@functools.cache
def main_track(name):
    footage = seen(name)
    return track_of(footage, people_in(footage)[0])


@pytest.mark.parametrize('name', some_and_all(REAL, REAL[::9]))
def test_the_person_is_followed_from_end_to_end(name):
    t = main_track(name)
    assert t.found.mean() >= 0.95 and len(np.unique(t.shot)) == 1 + (name in JUMPS)


@pytest.mark.parametrize('name', some_and_all(REAL, REAL[::9]))
def test_faces_before_which_nothing_is_are_not_called_covered(name):
    table = facevideo.analyse(CLIPS / name, stop=60).table
    assert (
        covered_frames(table.visible, table.yaw).mean() <= 0.1
        and table.quality.between(0, 1).all()
    )


@pytest.mark.slow
def test_cuts_are_found_between_clips():
    r, found, pairs = np.random.default_rng(0), 0, 0
    for a, b in itertools.permutations(REAL, 2):
        if person(a) == person(b):
            continue
        film = []
        for thumbnails in (seen(c).cuts.thumbnails for c in (a, b)):
            first = r.integers(0, len(thumbnails) - 20)
            film += thumbnails[first : first + 20]
        cutter = ShotDetector()
        for thumbnail in film:
            cutter(thumbnail)
        found += 20 in np.flatnonzero(np.diff(cutter.shots())) + 1
        pairs += 1
    assert pairs > 500 and found >= 0.99 * pairs, (found, pairs)


@functools.cache
def fitted(name):  # the first frames and the whole trajectory
    return [f.image for f in read_frames(CLIPS / name, stop=12)], fit(main_track(name)).table


@pytest.mark.parametrize('name', some_and_all(REAL, REAL[:1]))
def test_every_manipulation_alters_the_face_and_nothing_else(name):
    (frames, table), other = fitted(name), fitted(REAL[REAL.index(name) - 1])
    donor = other[0], other[1][other[1].frame < 12]
    for kind in MANIPULATIONS:
        with one_thread():
            plan = forge(
                kind, frames, table[table.frame < 12], donor, other[1], seed=1, strength=0.3
            )
            out, masks = plan.apply(frames)
        for a, b, m in zip(frames, out, masks):
            assert b.shape == a.shape and (a == b)[m == 0].all()
        assert [m.any() for m in masks] == [t in set(table.frame) for t in range(12)]
        moved = [
            np.abs(a.astype(int) - b)[m > 128].mean()
            for a, b, m in zip(frames, out, masks)
            if m.any()
        ]
        share, most = np.mean([m > 128 for m in masks]), 1 if kind == 'talking_head' else 0.6
        assert np.mean(moved) > 1 and 0.002 < share < most, kind


@pytest.mark.parametrize('names', some_and_all([REAL[::9], REAL], [REAL[::9]]), ids=len)
def test_the_model_meets_the_landmarks(names):
    columns = ['residual', 'residual_actions']
    clips = pd.DataFrame([fitted(name)[1][columns].median() for name in names], names)
    assert (clips.median() <= [0.014, 0.010]).all() and (clips.max() <= 0.02).all(), clips


def person(name):
    return '_'.join(name.split('/')[1].split('_')[:3])


@pytest.mark.slow
def test_faces_are_known_again_after_a_cut_and_strangers_are_not():
    r, followed, wrong, pairs = np.random.default_rng(0), 0, 0, 0
    for a, b in itertools.permutations(REAL[::2], 2):
        if person(a) == person(b):
            continue
        i, j = (r.integers(0, max(len(seen(c).seen) - 50, 1)) for c in (a, b))
        parts = [seen(a).seen[i : i + 25], seen(b).seen[j : j + 25], seen(a).seen[i + 25 : i + 50]]
        shot = np.repeat(range(3), list(map(len, parts)))
        shots = [set(shot[list(p)]) for p in group_faces(sum(parts, []), shot)]
        followed += any({0, 2} <= s for s in shots)
        wrong += any(1 in s and len(s) > 1 for s in shots)
        pairs += 1
    assert pairs > 100 and followed >= 0.85 * pairs and wrong <= 0.01 * pairs, (
        pairs,
        followed,
        wrong,
    )
