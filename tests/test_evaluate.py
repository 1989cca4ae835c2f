"""Evaluation: an id that names two videos, labels that are none, and tables of every kind."""

import json
import time

import numpy as np
import pandas as pd
import pytest

from helpers.training import Clips, relabelled
from threedad.core import UsageError
from threedad.evaluate import evaluate, known_labels, video_scores
from threedad.recipe import train_config, train_data


def predictions(videos=12, clips=3, seed=0, **columns):
    g = np.random.default_rng(seed)
    n = np.arange(videos).repeat(clips)
    label = n % 2
    table = dict(
        video_id=[f'v{k:02}' for k in n],
        clip=np.tile(np.arange(clips), videos),
        score=(0.3 + 0.3 * label + 0.2 * g.random(len(n))),
        label=label,
        manipulation=np.where(label, 'swap', 'original'),
        corpus='made up',
        compression='c23',
        group=[f'p{k // 2}' for k in n],
        detector='d',
    )
    return pd.DataFrame(table | columns)


CONTRADICTIONS = [
    ('manipulation', 'reenact', 'manipulations, swap and reenact'),
    ('corpus', 'other', 'corpora, made up and other'),
    ('label', 0, 'labels, 1 and 0'),
    ('compression', 'c40', 'compressions, c23 and c40'),
    ('group', 'q', 'groups, p1 and q'),
]


@pytest.mark.parametrize('column, value, says', CONTRADICTIONS)
@pytest.mark.parametrize('measure', [video_scores, evaluate])
def test_an_id_that_names_two_videos_is_named(column, value, says, measure):
    p = predictions()
    p.loc[10, column] = value
    with pytest.raises(UsageError, match=f'the video_id v03 has two {says}: an id must name one'):
        measure(p)


@pytest.mark.parametrize('row', [0, 19, 35])
@pytest.mark.parametrize('column', ['manipulation', 'corpus', 'label'])
def test_the_id_is_found_wherever_it_stands(row, column):
    p = predictions()
    p.loc[row, column] = 1 - p.label[row] if column == 'label' else 'another'
    with pytest.raises(UsageError, match=f'the video_id {p.video_id[row]} has two '):
        evaluate(p)


@pytest.mark.parametrize('corpora', [('ff', 'celeb'), ('celeb', 'ff'), ('a', 'a b')])
def test_corpora_that_share_names_are_told_apart(corpora):
    both = pd.concat([predictions(corpus=name) for name in corpora])
    with pytest.raises(
        UsageError, match=f'v00 has two corpora, {corpora[0]} and {corpora[1]} .as '
    ):
        evaluate(both)
    apart = both.assign(video_id=both.corpus + '/' + both.video_id)
    assert len(video_scores(apart)) == 24


def test_how_many_more_ids_are_wrong_is_said():
    p = predictions()
    p.loc[[1, 4, 7], 'manipulation'] = 'another'
    with pytest.raises(UsageError, match=r'v00 has two .* \(as have 2 more\)'):
        evaluate(p)


def test_a_missing_value_is_no_contradiction():
    p = predictions()
    p.loc[[9, 11], 'manipulation'] = None
    assert video_scores(p).set_index('video_id').manipulation['v03'] == 'swap'


@pytest.mark.parametrize('label', [2, 0.5, 'fake', np.nan, None, np.inf])
@pytest.mark.parametrize('measure', [video_scores, evaluate, known_labels])
def test_a_label_that_is_none_names_its_row(label, measure):
    p = predictions()
    p['label'] = p['label'].astype(object)
    p.loc[4, 'label'] = label
    with pytest.raises(UsageError, match=r'row 4 \(v01\) has the label'):
        measure(p)


@pytest.mark.parametrize('label', [2, 0.5, 'fake', np.nan, None, -1])
def test_training_takes_no_label_that_evaluation_does_not(label):
    """What is refused here is refused there; what is unknown is used by neither."""
    clips = relabelled(Clips(4), label, slice(4, 6))
    with pytest.raises(UsageError, match='but 2 clips have others: v001 has'):
        train_data(dict(train=clips), train_config())
    p = predictions()
    p['label'] = p['label'].astype(object)
    p.loc[[3, 4, 5], 'label'] = label
    if label != -1:
        with pytest.raises(UsageError, match='v01'):
            evaluate(p)
        return
    with pytest.warns(UserWarning, match='3 of 36 rows'):
        assert 'v01' not in set(video_scores(p).video_id)


@pytest.mark.parametrize('videos', [1, 3, 5])
def test_unknown_labels_are_left_out_with_a_count(videos):
    p = predictions()
    p.loc[p.index[: 3 * videos], 'label'] = -1
    with pytest.warns(UserWarning, match=f'{3 * videos} of 36 rows have no label'):
        m = evaluate(p)
    assert m['unlabelled'] == 3 * videos
    assert sum(m['videos'].values()) == 12 - videos


@pytest.mark.parametrize('score', [np.nan, np.inf, 'x', None])
def test_a_score_that_is_none_names_its_row(score):
    p = predictions()
    p['score'] = p['score'].astype(object)
    p.loc[7, 'score'] = score
    with pytest.raises(UsageError, match=r'the first in row 7 \(v02\)'):
        evaluate(p)


@pytest.mark.parametrize('score', [-0.1, 1.1, 88])
def test_a_score_that_is_no_probability_is_refused(score):
    p = predictions()
    p.loc[7, 'score'] = score
    with pytest.raises(UsageError, match='not between 0 and 1'):
        evaluate(p)


@pytest.mark.parametrize('column', ['video_id', 'score', 'label'])
def test_a_missing_column_is_named(column):
    with pytest.raises(UsageError, match=f'predictions lack {column}'):
        evaluate(predictions().drop(columns=column))


@pytest.mark.parametrize('given', [None, [1], 'p.parquet'])
def test_what_is_no_table_is_told_so(given):
    with pytest.raises(UsageError, match='predictions must be a table'):
        evaluate(given)


@pytest.mark.parametrize('label, lacks', [(0, 'fake'), (1, 'real')])
def test_a_missing_class_is_named(label, lacks):
    p = predictions()
    with pytest.raises(UsageError, match=f'needs {lacks} ones too'):
        evaluate(p[p.label == label])


@pytest.mark.parametrize('drop', [[], ['group'], ['manipulation', 'corpus'], ['detector', 'clip']])
def test_numbers_are_plain_and_complete(drop):
    m = evaluate(predictions().drop(columns=drop))
    assert json.loads(json.dumps(m)) == m
    assert m['videos'] == dict(real=6, fake=6) and m['clips'] == dict(real=18, fake=18)
    assert m['people'] == (None if 'group' in drop else 6)
    assert set(m['manipulations']) == (set() if 'manipulation' in drop else {'swap'})
    low, high = m['video_auc_ci']
    assert low < m['video_auc'] <= high
    assert 'video AUC' in repr(m) and '<table>' in m._repr_html_()


@pytest.mark.parametrize('people', [4, 16, 40])
def test_perfect_scores_of_few_people_are_no_certainty(people):
    p = predictions(2 * people)
    m = evaluate(p.assign(score=p.label.astype(float)))
    assert m['video_auc'] == 1 and m['video_auc_ci'][0] < 1 - 0.3 / people
    assert '(1.00 to 1.00)' not in repr(m)
    assert m['tpr_ci'][0] < 1 and m['fpr_ci'][1] > 0


@pytest.mark.parametrize('label, kept', [(1, 'video_auc_ci'), (0, 'video_auc_ci'), (1, 'tpr_ci')])
def test_one_person_in_a_class_leaves_no_interval(label, kept):
    p = predictions()
    m = evaluate(p.assign(group=p.group.where(p.label != label, 'x')))
    assert m[kept] == [None, None] and 'nan' not in repr(m) + m._repr_html_()
    assert json.loads(json.dumps(m)) == m


@pytest.mark.parametrize('group', ['x', 'x+y', None])
def test_videos_that_all_show_the_same_count_as_independent(group):
    m, without = (
        evaluate(predictions(group=group)),
        evaluate(predictions().drop(columns='group')),
    )
    assert '12 independent videos' in m['ci_method']
    for name in ('video_auc_ci', 'tpr_ci', 'fpr_ci'):
        assert m[name] == without[name]


@pytest.mark.parametrize('digits', [0, 1, 2])
def test_scores_that_tie_have_intervals(digits):
    m = evaluate(predictions(40).assign(score=lambda p: p.score.round(digits)))
    low, high = m['video_auc_ci']
    assert 0 <= low <= m['video_auc'] <= high <= 1


@pytest.mark.slow
@pytest.mark.parametrize('clips', [1, 3, 10])
def test_a_hundred_thousand_videos_take_seconds(clips):
    p = predictions(100_000, clips)
    number = p.video_id.factorize()[0]
    p['group'] = [
        f'p{k % 20_000}' if k % 2 else f'p{k % 20_000}+p{k * 7 % 20_000}' for k in number
    ]
    p['manipulation'] = np.where(p.label, np.array(list('abcdef'))[number // 2 % 6], 'original')
    started = time.process_time()
    m = evaluate(p, progress=False)
    assert time.process_time() - started < 20
    assert m['people'] == 20_000 and len(m['manipulations']) == 6


def test_names_are_escaped_on_a_page():
    p = predictions(manipulation='<script>')
    assert '<script>' not in evaluate(p)._repr_html_()


def test_two_detectors_are_evaluated_one_at_a_time():
    both = pd.concat([predictions(), predictions(detector='e')])
    with pytest.raises(UsageError, match='2 detectors'):
        evaluate(both)
    assert len(video_scores(both)) == 24


def test_videos_without_a_score_are_counted():
    videos = pd.DataFrame(
        dict(video_id=['v00', 'x', 'y', 'z'], status=['ok', 'no_face', 'no_face', 'corrupt'])
    )
    assert evaluate(predictions(), videos)['unscored'] == dict(no_face=2, corrupt=1)
