"""Splits that share nobody."""

import numpy as np
import pandas as pd
import pytest

from threedad.core import UsageError
from threedad.corpora import video_table
from threedad.splits import assert_no_leak, assign_splits, people_clusters


@pytest.mark.parametrize('seed', range(5))
def test_splits_do_not_leak(seed):
    r = np.random.default_rng(seed)
    people = [f'p{i}' for i in range(30)]
    rows = [dict(path=f'{i}.mp4', label=0, group=p) for i, p in enumerate(r.choice(people, 60))]
    for i, k in enumerate(r.choice(np.arange(0, 30, 3), 60)):
        group = '+'.join(r.choice(people[k : k + 3], 2, replace=False))
        kind = r.choice(['swap', 'reenact'])
        rows.append(dict(path=f'f{i}.mp4', label=1, manipulation=kind, group=group))
    v = assign_splits(video_table(pd.DataFrame(rows)), seed=seed)
    assert_no_leak(v)
    person = v.assign(person=v.group.str.split('+')).explode('person').groupby('person')
    assert (person.split.nunique() == 1).all() and set(v.split) == {'train', 'val', 'test'}
    assert (pd.crosstab(v.split, v.label) > 0).all().all()
    with pytest.raises(UsageError):
        assign_splits(v.assign(group='one'), seed=seed)


@pytest.mark.parametrize(
    'groups, clusters',
    [(['a', 'b', 'c'], 3), (['a+b', 'b+c', 'd'], 2), (['a+b', 'c+d', 'b+c', 'd+a'], 1)],
)
def test_people_who_share_a_video_belong_together(groups, clusters):
    assert len(set(people_clusters(pd.Series(groups)))) == clusters


@pytest.mark.parametrize('shared', ['a', 'a+c', 'c+a'])
def test_a_leak_is_named(shared):
    v = pd.DataFrame(dict(split=['train', 'test'], group=['a+b', shared]))
    with pytest.raises(UsageError, match='a is in both'):
        assert_no_leak(v)
