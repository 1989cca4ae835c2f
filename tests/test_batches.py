"""Balanced batches, alike over frames, partners and processes; labels that are none."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.training import Clips, relabelled
from threedad.batches import (
    LabelledClips,
    ToyClips,
    augment,
    balanced_batches,
    clip_labels,
    crop_clips,
    jitter,
    noisy,
    pair_keys,
    plain_batch,
    share_of,
)
from threedad.core import UsageError


class Table:
    """A dataset with a table, as `ClipDataset` has."""

    def __init__(self, labels, **columns):
        ids = [f"v{k}" for k in range(len(labels))]
        self.table = pd.DataFrame(dict(video_id=ids, label=labels) | columns)

    def __len__(self):
        return len(self.table)


@pytest.mark.parametrize(
    "label", [2, -1, 0.5, math.nan, math.inf, None, "1", "fake", b"1"], ids=repr
)
@pytest.mark.parametrize("tabled", [True, False])
def test_labels_that_are_none(label, tabled):
    data = Table([0, 1, label, label]) if tabled else relabelled(Clips(4, 2), label, slice(2, 4))
    with pytest.raises(UsageError, match="labels must be 0 .* 2 clips have others: v") as e:
        clip_labels(data)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "labels", [[0, 1], [0.0, 1.0], [False, True], np.array([0, 1], "uint8")], ids=str
)
def test_labels_in_any_type_of_number(labels):
    assert clip_labels(Table(labels))["label"].tolist() == [0, 1]


@pytest.mark.parametrize("labels", [[0, 1, 1], [1, 0, 0], [0, 0, 1]])
def test_one_video_with_two_labels(labels):
    data = Table(labels)
    data.table["video_id"] = "same"
    with pytest.raises(UsageError, match="1 videos have two labels, same"):
        clip_labels(data)


@pytest.mark.parametrize("real, fake", [(10, 10), (3, 40), (40, 1), (1, 1)])
@pytest.mark.parametrize("batch_size", [2, 8])
def test_batches_are_half_real_and_each_comes_in_turn(real, fake, batch_size):
    labels = np.repeat([0, 1], [real, fake])
    batches = balanced_batches(labels, batch_size, 0)
    half = batch_size // 2
    for batch in batches:
        assert labels[batch[:half]].sum() == 0 and labels[batch[half:]].all()
    for side, n in ((slice(0, half), real), (slice(half, None), fake)):
        counts = np.bincount(np.concatenate([b[side] for b in batches]), minlength=real + fake)
        counts = counts[:real] if n == real and side.start == 0 else counts[real:]
        assert counts.max() - counts.min() <= 1, "all of a class before one comes again"


@pytest.mark.parametrize("seed", [0, 7, (3, 1)], ids=str)
def test_order_is_a_function_of_the_seed(seed):
    labels = np.arange(40) % 2
    assert balanced_batches(labels, 4, seed) == balanced_batches(labels, 4, seed)
    assert balanced_batches(labels, 4, seed) != balanced_batches(labels, 4, 99)


@pytest.mark.parametrize(
    "labels, size, cause",
    [
        ([0, 1], 3, "even"),
        ([0, 1], 0, "even"),
        ([0, 0], 2, "no fake clips"),
        ([1, 1], 2, "no real clips"),
        ([], 2, "no real clips"),
    ],
    ids=str,
)
def test_batches_that_cannot_be(labels, size, cause):
    with pytest.raises(UsageError, match=cause):
        balanced_batches(np.array(labels), size, 0)


@pytest.mark.parametrize("fakes", [1, 2, 3])
def test_partners_share_a_key_and_take_turns(fakes):
    people = 6
    labels = np.array([0] * people + [1] * people * fakes)
    keys = [*range(people), *list(range(people)) * fakes]
    met = [[] for _ in range(people)]
    for batch in sum([balanced_batches(labels, 4, s, people * 2, keys) for s in range(fakes)], []):
        for a, b in zip(batch[:2], batch[2:]):
            assert keys[a] == keys[b]
            met[keys[a]].append(b)
    assert all(len(m) == fakes for m in met)


@pytest.mark.parametrize(
    "groups, persons",
    [(["a", "a+b"], ["a", "a"]), (["a", "b+a"], ["a", "b"]), ([1, "1+2"], ["1", "1"])],
)
def test_who_is_whose_partner(groups, persons):
    data = Table([0, 1], group=groups, clip=[0, 3])
    assert pair_keys(data) == list(zip(persons, [0, 3]))
    assert pair_keys(Clips(2)) is None and pair_keys(Table([0, 1])) is None


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_shares_make_the_whole_and_are_balanced(processes):
    batch = [*range(8), *range(100, 108)]
    shares = [share_of(batch, p, processes) for p in range(processes)]
    assert sorted(sum(shares, [])) == batch
    for s in shares:
        half = len(s) // 2
        assert max(s[:half]) < 100 <= min(s[half:])


def clips(n, size=76, T=4):
    g = torch.Generator().manual_seed(0)
    return list(torch.randint(0, 256, (n, T, 3, size, size), generator=g, dtype=torch.uint8))


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_augmentation_does_not_depend_on_the_process(processes, seed):
    whole = augment(clips(8), 72, seed)
    for p in range(processes):
        mine = share_of(range(8), p, processes)
        part = augment([clips(8)[k] for k in mine], 72, seed, share=(p, processes))
        assert torch.allclose(part, whole[mine], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_frames_and_partners_are_treated_alike(seed):
    same = [torch.full((4, 3, 76, 76), 90, dtype=torch.uint8)] * 2
    same[0][..., :38] = 160
    x = augment(same, 72, seed)
    calm = torch.allclose(x, x[:, :1], atol=1e-6)
    assert x.shape == (2, 4, 3, 72, 72) and 0 <= x.min() and x.max() <= 1
    assert calm == (x[0, 0].sub(x[0, 1]).abs().max() < 1e-6).item()
    means = x.mean((2, 3, 4))
    assert means.std() < 2e-3, "the same brightness for all frames of both partners"


@pytest.mark.parametrize("corner", [0.0, 0.5, 0.999])
def test_crops_move_and_do_not_stretch(corner):
    draws = torch.tensor([[1.0, 0, corner, corner]])
    clip = clips(1)[0]
    at = int(corner * 5)
    want = clip[..., at : at + 72, at : at + 72]
    assert torch.equal(crop_clips([clip], 72, draws)[0], want)


@pytest.mark.parametrize("draw, change", [(0.5, 0.0), (0.0, -0.1), (1.0, 0.1)])
def test_brightness(draw, change):
    draws = torch.tensor([[1.0, 0.5, draw, 1, 1, 1, 1]])
    x = torch.full((1, 4, 3, 8, 8), 0.5)
    assert torch.allclose(jitter(x, draws, torch.zeros(0, 4, 3, 8, 8)), x + change, atol=1e-6)


@pytest.mark.parametrize("draws, n", [([0.05, 0.5], 1), ([0.2, 0.9], 0), ([0, 0.09], 2)])
def test_one_in_ten_gets_noise(draws, n):
    some = torch.ones(2, 7)
    some[:, 5] = torch.tensor(draws)
    assert len(noisy(some)) == n


@pytest.mark.parametrize("sizes", [(72, 72), (72, 76), (40, 300)])
def test_clips_of_several_sizes_make_a_batch(sizes):
    items = LabelledClips(Clips(2, 1), [0, 1])
    mixed = [(clips(1, s)[0], label) for s, (_, label) in zip(sizes, [items[0], items[1]])]
    some, labels = items.collate(mixed)
    assert plain_batch(some, 72).shape == (2, 4, 3, 72, 72) and labels.tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(3))
def test_toy_clips_are_as_they_are_described(seed):
    toy = ToyClips(4, 2, size=48, seed=seed)
    assert len(toy) == 8 and toy[3]["clip"].shape == (4, 3, 48, 48)
    calm = [toy.clips[k].float()[..., 18:-18, 18:-18].std(0).mean() for k in range(8)]
    fakes = clip_labels(toy)["label"].to_numpy() == 1
    assert max(np.array(calm)[fakes]) < min(np.array(calm)[~fakes])
