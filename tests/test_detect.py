"""A verdict on one video: what it holds, what it refuses, and how much memory it takes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from helpers import videos
from threedad.core import FileError, UsageError
from threedad.detect import NOTICE, Verdict, detect, load_detector, score_clips

NASTY = ['<img src=x onerror=alert(1)>.mp4', '"><script>alert(1)</script>.mp4', "a'b&c.mp4"]


def invented(name, **changes):
    clips = [dict(first_frame=0, time=0.0, score=0.37)]
    about = dict(frames=4, faces_found=4, detector='none', fps=25.0, duration=0.16)
    return Verdict(video=name, score=0.37, clips=clips, trained_on='nothing', **about | changes)


@pytest.mark.parametrize('name', NASTY)
def test_names_are_text_in_html(name):
    shown = invented(name, detector=name, warnings=[name])._repr_html_()
    assert '<img' not in shown and '<script' not in shown
    assert NOTICE in shown and '0.370' in shown


@pytest.mark.parametrize('path', [None, 5, ['a.mp4'], np.zeros(3)])
def test_what_is_no_path_gets_a_sentence(path):
    with pytest.raises(UsageError, match='path of a video'):
        detect(path)


@pytest.mark.parametrize('detector', [5, ['a'], {}])
def test_what_is_no_detector_gets_a_sentence(detector):
    with pytest.raises(UsageError, match='a detector is'):
        load_detector(detector)


def test_a_file_that_is_no_detector_is_named(tmp_path):
    (tmp_path / 'x.safetensors').write_text('letter')
    with pytest.raises(FileError, match='x.safetensors'):
        load_detector(tmp_path / 'x.safetensors')


def test_a_verdict_is_the_mean_of_its_clips(tmp_path):
    path = videos.make('sample', tmp_path)
    v = detect(path, progress=False)
    scores = [c['score'] for c in v.clips]
    assert v.score == pytest.approx(np.mean(scores), abs=1e-5)
    assert np.allclose(scores, score_clips(load_detector()[0], v.face_video.crops), atol=1e-5)
    plain = json.loads(json.dumps(v.to_json()))
    assert plain['call'] == v.call and 'face_video' not in plain
    assert str(v.frames) in repr(v)


PEAK = """
import resource, sys
from threedad.detect import detect
v = detect(sys.argv[1], progress=False)
kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
print(v.frames, *(resource.getrusage(k).ru_maxrss // 1024 for k in kinds))
"""


def peak(path):
    done = subprocess.run(
        [sys.executable, '-c', PEAK, str(path)], capture_output=True, text=True, timeout=3000
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [int(x) for x in done.stdout.split()]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_video(tmp_path):
    "480 against 9,600 frames of 480p: less than 100 MB more, in the parent and in its child."
    short = videos.standard_definition(tmp_path / 'short.mp4', 480)
    long = videos.repeat(short, tmp_path / 'long.mp4', 20)
    few, many = peak(short), peak(long)
    assert (few[0], many[0]) == (480, 9600)
    assert many[1] - few[1] < 100 and many[2] - few[2] < 100, f'MB: {few[1:]} and {many[1:]}'


def test_the_child_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.setenv('TMPDIR', str(tmp_path / 'tmp'))
    (tmp_path / 'tmp').mkdir()
    code = 'import sys; from threedad.detect import detect; detect(sys.argv[1], progress=False)'
    path = videos.make('sample', tmp_path)
    subprocess.run([sys.executable, '-c', code, str(path)], check=True, timeout=300)
    left = [p for p in os.listdir(tmp_path / 'tmp') if p.startswith(('threedad', 'tmp'))]
    assert not left
