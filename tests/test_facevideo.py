"""Crops that go to disk as they come, and what is said of videos without enough of a face."""

import gc

import numpy as np
import pandas as pd
import pytest

from helpers import videos
from threedad.core import StoreError, UsageError
from threedad.facevideo import (
    CropShard,
    NoFaceError,
    TooShortError,
    analyse,
    analyse_isolated,
    decode_crop,
    encode_crop,
    write_shard,
)

JPEG = encode_crop(np.full((8, 8, 3), 90, np.uint8))


def rows(n):
    return ((10 * k, JPEG + bytes([k % 256]), np.arange(6) + k) for k in range(n))


@pytest.mark.parametrize('n', [0, 1, 63, 64, 65, 200])
def test_a_shard_gives_back_what_was_written(tmp_path, n):
    shard = CropShard(write_shard(tmp_path / 'a.parquet', 'video', rows(n)))
    assert len(shard) == n and shard.frames.tolist() == [10 * k for k in range(n)]
    assert [jpeg[-1] for jpeg in shard] == [k % 256 for k in range(n)]
    assert shard.matrices.shape == (n, 2, 3)
    assert shard[:2] == [JPEG + bytes([k]) for k in range(min(n, 2))]
    with pytest.raises(IndexError):
        shard[n]


@pytest.mark.parametrize('share', [0, 0.3, 0.99])
def test_a_damaged_shard_is_named(tmp_path, share):
    path = write_shard(tmp_path / 'a.parquet', 'video', rows(100))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(StoreError, match='a.parquet: not a readable shard'):
        CropShard(path)


@pytest.mark.parametrize('data', [b'', b'letter', JPEG[:10]])
def test_what_is_no_picture_is_said(data):
    with pytest.raises(UsageError, match='not a JPEG'):
        decode_crop(data)


def test_the_crops_of_a_video_live_as_long_as_it_does(tmp_path):
    a = analyse(videos.make('sample', tmp_path))
    assert len(a.crops) == a.track.faces_found == len(a.table) == len(a.errors)
    assert decode_crop(a.crops[0]).shape == (224, 224, 3)
    folder = a.crops.path.parent
    assert folder.exists()
    del a
    gc.collect()
    assert not folder.exists()


def test_a_shard_stays_where_a_store_wants_it(tmp_path):
    path = videos.make('sample', tmp_path)
    shard = tmp_path / 'crops.parquet'
    a = analyse(path, 'who', shard=shard)
    assert set(pd.read_parquet(shard).video_id) == {'who'}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, shard.name])
    b = analyse_isolated(path)
    assert list(a.crops) == list(b.crops) and np.array_equal(a.frames, b.frames)


@pytest.mark.parametrize('kind', videos.FACELESS)
def test_no_face_leaves_nothing_behind(tmp_path, kind):
    path, shard = videos.make(kind, tmp_path), tmp_path / 'store' / 'crops.parquet'
    shard.parent.mkdir()
    with pytest.raises(NoFaceError, match='no face found'):
        analyse(path, shard=shard)
    assert not list(shard.parent.iterdir())


def test_too_few_faces_are_too_short(tmp_path):
    with pytest.raises(TooShortError, match='at least 4 are needed'):
        analyse(videos.make('sample', tmp_path), stop=3)
