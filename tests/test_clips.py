"""Short real-world videos: each gets a score. Skipped where the folder of clips is absent."""
import json, os, subprocess, sys
from pathlib import Path

import pandas as pd
import pytest

from threedad import cli, corpus
from threedad.corpus import scan_folder

CLIPS = Path(os.environ.get('THREEDAD_CLIPS', Path(__file__).resolve().parents[2]/'shared'/'clips'))
FILES = pd.read_csv(CLIPS/'manifest.csv').path.tolist() if (CLIPS/'manifest.csv').exists() else []
pytestmark = pytest.mark.skipif(not FILES, reason=f'no clips in {CLIPS}')


def check(text, name):
    v = json.loads(text)
    assert v['video'].endswith(name) and 0 <= v['score'] <= 1
    assert v['faces_found'] >= .9 * v['frames'] and all(0 <= c['score'] <= 1 for c in v['clips'])


@pytest.mark.parametrize('name', FILES)
def test_every_clip_gets_a_score(name, capsys, monkeypatch):
    monkeypatch.setattr(corpus, 'isolated', lambda function, *args, timeout, **kwargs: function(*args, **kwargs))
    assert cli.main(['detect', str(CLIPS/name), '--json']) == 0
    check(capsys.readouterr().out, name)


@pytest.mark.parametrize('name', FILES[-2:])
def test_the_command_itself(name):
    p = subprocess.run([sys.executable, '-c', 'import sys; from threedad.cli import main; sys.exit(main())', 'detect', str(CLIPS/name), '--json'], capture_output=True, text=True, timeout=300)
    assert p.returncode == 0, p.stderr
    check(p.stdout, name)


def test_the_manifest_is_read():
    t = scan_folder(CLIPS)
    assert len(t) == len(FILES) and t.video_id.is_unique and (t.label.value_counts().to_dict() == {0: 13, 1: 10})
    pairs = t[t.manipulation == 'dfl_swap'].group
    assert pairs.isin(t.group[t.label == 0]).all()
