"""Scores of a dataset as a table: every clip has its row, in the order of the dataset."""

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.training import SMALL, Clips
from threedad.core import UsageError
from threedad.detector import Detector
from threedad.predict import PREDICTION_COLUMNS, clips_of, predict, prediction_table, score_items


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Detector("tiny", **SMALL)


@pytest.fixture(scope="module")
def clips():
    return Clips(4, 3, size=72)


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_scores_do_not_depend_on_the_batch(net, clips, batch_size):
    p = predict(net, clips, batch_size=batch_size)
    assert list(p.columns) == PREDICTION_COLUMNS and len(p) == 12
    alone = [net.eval().score(clips[k]["clip"][None].float() / 255).item() for k in range(12)]
    assert np.allclose(p["score"], alone, atol=1e-5)
    assert p["video_id"].tolist() == [r[0] for r in clips.rows]
    assert (p["detector"] == "tiny").all()


@pytest.mark.parametrize("items", [[], [3], [7, 0, 5]], ids=str)
def test_some_items_are_scored_and_the_others_are_empty(net, clips, items):
    scores = score_items(net, clips, items, 2)
    assert [k for k, _ in scores] == items
    p = prediction_table(clips, scores, "mine")
    assert set(np.flatnonzero(p["score"].notna())) == set(items)


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_kept_even_after_an_error(net, clips, training):
    net.train(training)
    score_items(net, clips, [0])
    assert net.training == training
    with pytest.raises(IndexError):
        score_items(net, clips, [99])
    assert net.training == training


@pytest.mark.parametrize("data", [3, None, {1, 2}, iter([])], ids=lambda v: type(v).__name__)
def test_what_is_no_dataset(net, data):
    with pytest.raises(UsageError, match="a store, its path or a dataset"):
        clips_of(data, net.config)
    with pytest.raises(UsageError, match="a store, its path or a dataset"):
        predict(net, data)


@pytest.mark.parametrize(
    "first", ["tiny", None, torch.nn.Linear(1, 1)], ids=lambda v: type(v).__name__
)
def test_what_is_no_detector(first, clips):
    with pytest.raises(UsageError, match="takes a Detector first"):
        predict(first, clips)


@pytest.mark.parametrize("name", ["mine", None, "a b/c"])
def test_the_name_stands_in_the_table(net, clips, name):
    assert set(predict(net, clips, name=name)["detector"]) == {name or "tiny"}


class Known(Clips):
    """Clips of a store that knows where its videos come from."""

    def __init__(self, *args, **known):
        super().__init__(*args)
        self.table = pd.DataFrame(self.rows, columns=["video_id", "clip", "first_frame", "label"])
        ids = self.table["video_id"].unique()[::-1]
        self.store = type("Store", (), dict(videos=pd.DataFrame(dict(video_id=ids) | known)))


@pytest.mark.parametrize("manipulation", ["swap", None, "a+b"])
def test_what_is_known_about_a_video_stands_in_its_rows(manipulation):
    known = dict(manipulation=manipulation, compression="raw", corpus="toy", group="g")
    data = Known(4, 2, **known)
    p = prediction_table(data, [(k, k / 10) for k in range(8)][::-1], "x")
    assert p["score"].tolist() == [k / 10 for k in range(8)]
    assert p["video_id"].tolist() == data.table["video_id"].tolist()
    assert [v if pd.notna(v) else None for v in p["manipulation"]] == [manipulation] * 8
