"""Batches of training: half real and half fake, shared without a trace, altered alike in a clip."""

import numpy as np
import pandas as pd
import pytest
import torch

from threedad.batches import ToyClips, augment, balanced_batches, clip_labels, crop_clips, jitter
from threedad.batches import noisy, pair_keys, plain_batch, share_of
from threedad.core import UsageError


@pytest.mark.parametrize('real, fake, size', [(10, 10, 4), (3, 40, 8), (50, 2, 6), (1, 1, 2)])
def test_batches_are_half_real_and_half_fake(real, fake, size):
    labels = np.repeat([0, 1], [real, fake])
    batches = balanced_batches(labels, size, 0, 96)
    assert len(batches) == 96 // size
    assert all((labels[b] == np.repeat([0, 1], size // 2)).all() for b in batches)
    used = np.bincount(np.concatenate(batches), minlength=len(labels))
    for label in (0, 1):
        assert np.ptp(used[labels == label]) <= 1
    assert balanced_batches(labels, size, 0, 96) == batches
    if real + fake > 2:
        assert balanced_batches(labels, size, 1, 96) != batches


@pytest.mark.parametrize(
    'labels, size', [([0, 1], 3), ([0, 1], 0), ([0, 0], 2), ([1], 2), ([], 2)]
)
def test_what_cannot_be_balanced_is_said(labels, size):
    with pytest.raises(UsageError, match='must be even|clips to train on'):
        balanced_batches(np.array(labels), size, 0, 8)


@pytest.mark.parametrize('forged', [1, 2, 5])
def test_a_real_clip_meets_the_fakes_made_from_it(forged):
    labels = np.tile([0] + forged * [1], 6)
    keys = [f'p{i // (forged + 1)}' for i in range(len(labels))]
    batches = balanced_batches(labels, 4, 0, 6 * 4 * forged, keys)
    pairs = {(a, b) for batch in batches for a, b in zip(batch[:2], batch[2:])}
    assert all(keys[a] == keys[b] for a, b in pairs)
    assert {b for _, b in pairs} == set(np.flatnonzero(labels))


@pytest.mark.parametrize('processes', [1, 2, 4])
def test_shares_make_up_the_batch(processes):
    batch = list(range(16))
    shares = [share_of(batch, k, processes) for k in range(processes)]
    assert sorted(sum(shares, [])) == batch
    assert all(sum(i < 8 for i in s) * 2 == len(s) for s in shares)


@pytest.mark.parametrize('processes', [2, 4])
def test_pictures_do_not_depend_on_who_makes_them(processes):
    toys = ToyClips(8, 1)
    clips = [toys[k]['clip'] for k in (0, 2, 4, 6, 1, 3, 5, 7)]
    whole = augment(clips, 72, 5)
    for k in range(processes):
        mine = share_of(range(8), k, processes)
        part = augment([clips[i] for i in mine], 72, 5, share=(k, processes))
        assert torch.equal(part, whole[torch.tensor(mine)])


def test_all_frames_of_a_clip_are_altered_alike():
    frame = (torch.rand(3, 80, 80, generator=torch.Generator().manual_seed(0)) * 255).byte()
    draws = torch.rand(40, 7, generator=torch.Generator().manual_seed(1))
    draws[:, 5] = 1
    x = crop_clips(40 * [frame.expand(4, -1, -1, -1)], 72, draws[:, :4])
    assert (x == x[:, :1]).all() and len({v.numpy().tobytes() for v in x[:, 0]}) > 15
    y = jitter(x.float() / 255, draws, torch.zeros(len(noisy(draws)), 4, 3, 72, 72))
    assert torch.allclose(y, y[:, :1].expand_as(y)) and y.min() >= 0 and y.max() <= 1


@pytest.mark.parametrize('size', [40, 72, 96])
def test_a_plain_batch_only_changes_the_size(size):
    toys = ToyClips(2, 1)
    x = plain_batch([toys[0]['clip'], toys[1]['clip']], size)
    assert x.shape == (2, 4, 3, size, size) and 0 <= x.min() and x.max() <= 1
    assert abs(x[0].mean() - toys[0]['clip'].float().mean() / 255) < 0.02


class Table:
    def __init__(self, **columns):
        self.table = pd.DataFrame(columns)


@pytest.mark.parametrize(
    'table, cause',
    [
        (dict(video_id=['a', 'b'], label=[0, 2]), '1 clips have others: b has 2'),
        (dict(video_id=['a', 'b'], label=[0, np.nan]), 'b has nan'),
        (dict(video_id=['a', 'b'], label=['real', 'fake']), 'a has real'),
        (dict(video_id=['a', 'a', 'b'], label=[0, 1, 1]), '1 videos have two labels, a the first'),
    ],
)
def test_labels_that_are_none_are_named(table, cause):
    with pytest.raises(UsageError, match=cause):
        clip_labels(Table(**table))


def test_pairs_are_known_from_the_groups():
    keys = pair_keys(Table(group=['p1', 'p1+p2', 'p2+p1'], clip=[0, 0, 3]))
    assert keys == [('p1', 0), ('p1', 0), ('p2', 3)] and pair_keys(ToyClips(2)) is None
