"""Pages that hold everything they show, whatever a video is called."""

import re

import numpy as np
import pandas as pd
import pytest

from helpers import videos
from threedad.core import FAKE, REAL, FileError, UsageError, write_json
from threedad.detect import MEASURED, NOTICE, detect
from threedad.report import corpus_report, pair_of, report

OUTSIDE = re.compile(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?!data:)')
NASTY = ['<img src=x onerror=alert(1)>.mp4', '"><script>alert(1)<script>.mp4', "a'b&c.mp4"]


@pytest.fixture(scope='module')
def verdict(tmp_path_factory):
    return detect(videos.make('sample', tmp_path_factory.mktemp('report')), progress=False)


@pytest.mark.parametrize('name', NASTY)
def test_a_page_asks_for_nothing(verdict, tmp_path, name):
    before = verdict.video
    verdict.video = name
    try:
        page = report(verdict, tmp_path / 'page.html').read_text()
    finally:
        verdict.video = before
    assert not OUTSIDE.findall(page) and name not in page
    assert NOTICE in page and MEASURED in page and len(page) < 6e6


@pytest.mark.parametrize('name', ['page.mp4', 'page', 'page.pdf'])
def test_what_is_no_page_is_refused(verdict, tmp_path, name):
    with pytest.raises(FileError, match='must end in'):
        report(verdict, tmp_path / name)


@pytest.mark.parametrize('thing', ['x', None, {'score': 0.5}])
def test_what_is_no_verdict_gets_a_sentence(thing, tmp_path):
    with pytest.raises(UsageError, match='Verdict'):
        report(thing, tmp_path / 'page.html')


@pytest.mark.parametrize('metrics', [{}, [1], {'video_auc': 0.5}])
def test_an_unfinished_evaluation_is_named(tmp_path, metrics):
    write_json(metrics, tmp_path / 'metrics.json')
    with pytest.raises(FileError, match='metrics.json: lacks'):
        corpus_report(tmp_path)


@pytest.mark.parametrize(
    'groups, pair',
    [
        (['Ann', 'Bob', 'Bob+Cy'], ('b', 'c')),
        (['Ann', 'Bob', 'Ann'], ('a', 'c')),
        (['Ann', 'Bob', 'Cy'], ('a', 'c')),
    ],
)
def test_a_pair_shares_a_person(groups, pair):
    table = pd.DataFrame(dict(video_id=list('abc'), label=[REAL, REAL, FAKE], group=groups))
    assert pair_of(table.set_index(np.array([4, 7, 9]))) == pair
