"""What fixes a run: settings that can be, clips with labels, and the control."""

import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.training import SMALL, Clips, relabelled
from threedad.batches import clip_labels
from threedad.core import UsageError
from threedad.corpus import Store
from threedad.presets import PRESETS
from threedad.recipe import TrainConfig, shuffled_labels, train_config, train_data

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "sample" / "store"
BAD = [-1, 10**400, math.nan, math.inf, "3", True, [1], {}]
COUNTS = ["epochs", "texture_epochs", "batch_size", "seed", "clips_per_epoch", "clips_per_video"]


@pytest.mark.parametrize("name", [*COUNTS, "lr", "warmup", "weight_decay", "clip_norm", "ema"])
@pytest.mark.parametrize("value", BAD, ids=lambda v: repr(v)[:12])
def test_numbers_that_cannot_be(name, value):
    with pytest.raises(UsageError, match=name) as e:
        train_config(**{name: value})
    assert "\n" not in str(e.value) and len(str(e.value)) < 200


@pytest.mark.parametrize(
    "settings, cause",
    [
        (dict(batch_size=5), "even"),
        (dict(epochs=0), "epochs"),
        (dict(epochs=None), "epochs"),
        (dict(augment=1), "augment"),
        (dict(shuffle_labels="no"), "shuffle_labels"),
        (dict(mixed_precision="fp8"), "mixed_precision"),
        (dict(detector=3), "preset"),
        (dict(preset="huge"), "unknown preset"),
        (dict(epoch=3), "no setting 'epoch'"),
        (dict(config=3), "TrainConfig"),
        (dict(texture_size=224), "do not meet"),
    ],
    ids=str,
)
def test_settings_that_cannot_be(settings, cause):
    with pytest.raises(UsageError, match=cause):
        train_config(**settings)


@pytest.mark.parametrize("preset", PRESETS)
def test_settings_are_sorted_between_run_and_detector(preset):
    c = train_config(preset=preset, epochs=3, frames=8)
    assert (c.epochs, c.detector.frames, c.detector.name) == (3, 8, preset)
    assert train_config(c) == c and train_config(c, lr=0.1).detector == c.detector
    with pytest.raises(AttributeError):
        c.epochs = 4


@pytest.mark.parametrize("data", [3, None, [], {"val": []}], ids=repr)
def test_what_is_no_data(data):
    with pytest.raises(UsageError, match="data must be"):
        train_data(data, TrainConfig())


def test_empty_data_is_refused():
    with pytest.raises(UsageError, match="no clips"):
        train_data(dict(train=Clips(0)), TrainConfig())


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("label", [2, -1, math.nan, None, "1"], ids=repr)
def test_labels_of_datasets_are_looked_at(split, label):
    sets = dict(train=Clips(4, 2), val=Clips(4, 2, seed=1))
    relabelled(sets[split], label, slice(0, 2))
    with pytest.raises(UsageError, match="2 clips have others"):
        train_data(sets, TrainConfig())


@pytest.fixture
def store(tmp_path):
    """A copy of the sample store whose videos are shared out to train and val."""
    shutil.copytree(SAMPLE, tmp_path / "store")
    path = tmp_path / "store" / "videos.parquet"
    videos = pd.read_parquet(path)
    videos["split"] = np.where(np.arange(len(videos)) % 4 < 2, "train", "val")
    videos.to_parquet(path)
    return tmp_path / "store"


def labelled(store, split, label):
    """Give two readable videos of a split another label; their names."""
    videos = pd.read_parquet(store / "videos.parquet")
    chosen = videos.index[(videos["split"] == split) & (videos["status"] == "ok")][:2]
    videos["label"] = videos["label"].astype(float)
    videos.loc[chosen, "label"] = label
    videos.to_parquet(store / "videos.parquet")
    return videos.loc[chosen, "video_id"].tolist()


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("label", [2, -2, 0.5, math.nan], ids=repr)
def test_other_labels_of_a_store_are_refused(store, split, label):
    names = labelled(store, split, label)
    with pytest.raises(UsageError, match="2 videos have others") as e:
        train_data(store, train_config(**SMALL), quiet=True)
    assert names[0] in str(e.value) and "\n" not in str(e.value)


@pytest.mark.parametrize("split", ["train", "val"])
def test_videos_without_a_label_are_left_out_with_a_count(store, split):
    names = labelled(store, split, -1)
    with pytest.warns(UserWarning, match=f"2 of 6 videos in the split '{split}' have no label"):
        sets = train_data(store, train_config(**SMALL), quiet=True)
    assert not set(names) & set(getattr(sets, split).table["video_id"])


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_any_label_is_refused(store, split):
    videos = pd.read_parquet(store / "videos.parquet")
    videos.loc[videos["split"] == split, "label"] = -1
    videos.to_parquet(store / "videos.parquet")
    with pytest.warns(UserWarning, match="6 of 6"), pytest.raises(UsageError, match=split):
        train_data(store, train_config(**SMALL), quiet=True)


@pytest.mark.parametrize("missing", ["train", "val"])
def test_a_store_without_a_split_is_refused(store, missing):
    videos = pd.read_parquet(store / "videos.parquet")
    videos["split"] = "train" if missing == "val" else "val"
    videos.to_parquet(store / "videos.parquet")
    with pytest.raises(UsageError, match=f"no readable videos in the split '{missing}'"):
        train_data(Store(store), train_config(**SMALL), quiet=True)


@pytest.mark.parametrize("how", [str, Path, Store], ids=lambda f: f.__name__)
def test_a_store_is_split(store, how):
    sets = train_data(how(store), train_config(**SMALL), quiet=True)
    videos = pd.read_parquet(store / "videos.parquet").set_index("video_id")["split"]
    assert set(videos[sets.train.table["video_id"]]) == {"train"}
    assert set(videos[sets.val.table["video_id"]]) == {"val"}
    assert sets.train[0]["clip"].shape[-1] == 76 and sets.val[0]["clip"].shape[-1] == 72


@pytest.mark.parametrize("real, fake", [(10, 10), (4, 40), (30, 6)])
@pytest.mark.parametrize("seed", range(3))
def test_exchanged_labels_say_nothing_about_the_true_ones(real, fake, seed):
    rows = [(f"v{v}", int(v >= real)) for v in range(real + fake) for _ in range(3)]
    table = pd.DataFrame(rows, columns=["video_id", "label"])
    given = table.assign(given=shuffled_labels(table, seed)).groupby("video_id").first()
    assert given["given"].sum() == fake
    among = given.groupby("label")["given"].mean()
    assert abs(among[0] - among[1]) <= 1 / min(real, fake)
    assert (clip_labels(Clips(2))["label"] == [0] * 4 + [1] * 4).all()
