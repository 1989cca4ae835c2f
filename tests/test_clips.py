"""Clips of frames, decoded on demand."""

import numpy as np
import pytest

from helpers.corpus import make_corpus
from threedad.clips import ClipDataset, clip_frames, clip_table
from threedad.core import StoreError
from threedad.corpus import preprocess


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp('clips')
    return preprocess(make_corpus(folder / 'c', 4), folder / 's', workers=2, progress=False)


def test_clip_frames():
    assert clip_frames(32).tolist() == [[k, k + 8, k + 16, k + 24] for k in range(8)]
    assert [len(clip_frames(n)) for n in (0, 3, 4, 31, 32, 64)] == [0, 0, 1, 14, 8, 16]
    for n in range(4, 130):
        c = clip_frames(n)
        assert c.max() == n - 1 and c.min() == 0
        assert (np.diff(c, axis=1) > 0).all() and len(np.unique(c)) == n


@pytest.mark.parametrize('limit', [0, 1e5, 2e9])
def test_items_do_not_depend_on_the_memory(store, limit):
    d = ClipDataset(store, size=64, memory_limit=limit, progress=False)
    assert len(d) == 4 * len(clip_frames(16)) and set(d.table.label) == {0, 1}
    item = d[5]
    assert item['clip'].shape == (4, 3, 64, 64) and not item['clip'].dtype.is_floating_point
    first = store.trajectory(item['video_id']).frame[clip_frames(16)[item['clip_index']][0]]
    assert item['first_frame'] == first
    whole = ClipDataset(store, size=64, progress=False)[5]['clip']
    assert (item['clip'] == whole).all()


@pytest.mark.parametrize('n', [1, 2, 3])
def test_few_clips_per_video_decode_only_their_frames(store, n, monkeypatch):
    from threedad import clips

    decoded = []
    real = clips.decode_crop
    monkeypatch.setattr(
        clips, 'decode_crop', lambda data, size=None: decoded.append(1) or real(data, size)
    )
    d = ClipDataset(store, clips_per_video=n, size=32, progress=False)
    for k in range(len(d)):
        d[k]
    assert len(d) == 4 * n and len(decoded) <= 4 * 4 * n


def test_an_unknown_video_is_named(store):
    with pytest.raises(StoreError, match='has no video nobody'):
        ClipDataset(store, video_ids=['nobody'], progress=False)


@pytest.mark.parametrize('label, found', [(None, -1), (float('nan'), -1), (1.0, 1), (-1, -1)])
def test_a_missing_label_is_unknown(store, label, found, monkeypatch):
    monkeypatch.setitem(store.__dict__, 'videos', store.videos.assign(label=label))
    assert set(clip_table(store)[0].label) == {found}


@pytest.mark.parametrize('label', [2, 0.5, 'fake'])
def test_a_label_that_is_none_names_its_video(store, label, monkeypatch):
    monkeypatch.setitem(store.__dict__, 'videos', store.videos.assign(label=label))
    with pytest.raises(StoreError, match='has the label'):
        clip_table(store)
