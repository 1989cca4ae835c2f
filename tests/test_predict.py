"""A score for every clip: of any dataset, in any order, whatever the state of the detector."""

import numpy as np
import pytest
import torch

from helpers.runs import SMALL, Clips
from threedad.core import UsageError
from threedad.detector import Detector
from threedad.predict import PREDICTION_COLUMNS, clips_of, predict, prediction_table, score_items


@pytest.fixture(scope='module')
def net():
    torch.manual_seed(0)
    return Detector(**SMALL).eval()


@pytest.mark.parametrize('batch_size', [1, 3, 100])
def test_scores_do_not_depend_on_the_batch(net, batch_size):
    data = Clips(5, 2)
    p = predict(net, data, batch_size=batch_size, name='n')
    assert list(p.columns) == PREDICTION_COLUMNS and len(p) == 10 and set(p.detector) == {'n'}
    x = torch.stack([data[k]['clip'] for k in range(10)]).float() / 255
    assert np.allclose(p.score, net.score(x), atol=1e-5)
    assert p.label.tolist() == [row[3] for row in data.rows]


@pytest.mark.parametrize('items', [[], [3], [4, 0, 2]])
def test_some_items_can_be_scored(net, items):
    data = Clips(3, 2)
    scores = score_items(net, data, items, 2)
    assert [k for k, _ in scores] == items
    table = prediction_table(data, scores, 'n')
    assert table.score.notna().sum() == len(items) and len(table) == 6


@pytest.mark.parametrize('training', [True, False])
def test_the_detector_is_left_as_it_was(net, training):
    net.train(training)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    first, second = predict(net, Clips(2, 2)), predict(net, Clips(2, 2))
    assert net.training == training and first.equals(second)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    net.eval()


@pytest.mark.parametrize('given', [None, 3, {1, 2}])
def test_what_is_no_dataset_is_told_so(net, given):
    with pytest.raises(UsageError, match='a store, its path or a dataset of clips'):
        clips_of(given, net.config)


@pytest.mark.parametrize('given', ['tiny', None, torch.nn.Linear(2, 2)])
def test_what_is_no_detector_is_told_so(given):
    with pytest.raises(UsageError, match='takes a Detector first'):
        predict(given, Clips(2))
