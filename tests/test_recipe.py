"""Settings of training, what it is trained on, and labels that are no labels."""

import math

import numpy as np
import pandas as pd
import pytest

from helpers.runs import RUN, Clips
from threedad.core import UsageError
from threedad.recipe import TrainConfig, shuffled_labels, train_config, train_data


@pytest.mark.parametrize(
    'settings, cause',
    [
        (dict(batch_size=5), 'even'),
        (dict(batch_size=4.0), 'a whole number'),
        (dict(preset='huge'), 'unknown preset'),
        (dict(epochs=0), 'from 1'),
        (dict(texture_size=224), 'do not meet'),
        (dict(nonsense=1), "no setting 'nonsense'"),
        (dict(lr=math.nan), 'lr must be a number'),
        (dict(lr=-1), 'lr must be a number'),
        (dict(ema=2), 'ema must be a number'),
        (dict(seed=None), 'seed must be a whole number'),
        (dict(augment=1), 'True or False'),
        (dict(mixed_precision='int8'), 'must be one of'),
        (dict(frames=0), 'frames must be'),
        (dict(config=3), 'a TrainConfig, not int'),
    ],
)
def test_settings_that_cannot_be_are_named(settings, cause):
    with pytest.raises(UsageError, match=cause):
        train_config(**settings)


def test_settings_of_both_kinds_are_sorted():
    c = train_config(**{k: v for k, v in RUN.items() if k != 'quiet'}, lr=1)
    assert c.detector.channels == 32 and c.batch_size == 4 and c.lr == 1.0
    assert train_config(c) == c and train_config(c, epochs=9).detector == c.detector
    assert train_config(preset='paper').detector.name == 'paper'


class Labelled(Clips):
    def __init__(self, *labels):
        super().__init__(len(labels), 2)
        given = [label for label in labels for _ in range(2)]
        self.rows = [(*row[:3], label) for row, label in zip(self.rows, given)]


@pytest.mark.parametrize('label', [2, -1, 0.5, float('nan'), 'fake', None])
@pytest.mark.parametrize('split', ['train', 'val'])
def test_labels_other_than_0_and_1_are_refused(label, split):
    sets = dict(train=Labelled(0, 1, 1), val=Labelled(0, 1)) | {split: Labelled(0, 1, label)}
    with pytest.raises(UsageError, match=r'labels must be 0 \(real\) or 1 \(fake\), but 2 clips'):
        train_data(sets, TrainConfig())


@pytest.mark.parametrize('split', ['train', 'val'])
def test_a_video_with_two_labels_is_named(split):
    both = Labelled(0, 1)
    both.rows[1] = (*both.rows[1][:3], 1)
    sets = dict(train=Labelled(0, 1), val=Labelled(0, 1)) | {split: both}
    with pytest.raises(UsageError, match='v000'):
        train_data(sets, TrainConfig())


@pytest.mark.parametrize('given', [None, [Clips(2)], dict(val=Clips(2)), 3])
def test_what_is_no_data_is_told_so(given):
    with pytest.raises(UsageError, match='data must be a store, or a dictionary'):
        train_data(given, TrainConfig())


def test_nothing_to_train_on_is_said():
    with pytest.raises(UsageError, match='no clips to train on'):
        train_data(dict(train=Clips(0)), TrainConfig())


@pytest.mark.parametrize('real, fake', [(20, 20), (30, 10), (7, 3)])
def test_exchanged_labels_know_nothing_of_the_true_ones(real, fake):
    label = np.repeat([0, 1], [real, fake])
    ids = np.array([f'v{i}' for i in range(len(label))])
    table = pd.DataFrame(dict(video_id=ids.repeat(3), label=label.repeat(3)))
    given = shuffled_labels(table, 0)
    assert pd.Series(given).groupby(table.video_id).nunique().eq(1).all()
    videos = given[::3]
    assert videos.sum() == fake and set(given) == {0, 1}
    share = [videos[label == k].mean() for k in (0, 1)]
    assert abs(share[0] - share[1]) <= 1 / min(real, fake)
    assert (given != shuffled_labels(table, 1)).any()
