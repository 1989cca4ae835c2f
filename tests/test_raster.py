"""The rasteriser against ray casting, and points out of range."""

import numpy as np
import pytest

from threedad.core import rng
from threedad.morphable import MorphableModel, euler_to_matrix, project
from threedad.raster import rasterize

SIZE, EYES = 112, 24.0


@pytest.fixture(scope="module")
def model():
    return MorphableModel.load()


def placed(model, g, size=SIZE, eyes=EYES, turn=80):
    X = model.vertices(
        identity=g.normal(size=40), actions=g.uniform(0, 0.8, 52) * (g.random(52) < 0.3)
    )
    R = euler_to_matrix(*np.radians(g.uniform([-turn, -30, -40], [turn, 30, 40])))
    return project(X, eyes, R, np.array([0.5, 0.52]) * size).astype(np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_ray_casting(model, seed):
    "Mask IoU from 0.995; nearly everywhere the same triangle, its depth within 1e-3 eye distances."
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("rtree")
    p = placed(model, rng(seed))
    mesh = trimesh.Trimesh(p * [1, -1, 1], model.faces, process=False)
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    at, ray, tri = mesh.ray.intersects_location(
        np.stack([x.ravel(), -y.ravel(), np.full(x.size, 1e3)], 1),
        np.tile([0.0, 0, -1], (x.size, 1)),
    )
    hits = np.argsort(at[:, 2])
    hits = hits[mesh.face_normals[tri[hits], 2] > 0]
    cast, nearest = np.full(x.size, -np.inf), np.full(x.size, -1)
    cast[ray[hits]], nearest[ray[hits]] = at[hits, 2], tri[hits]
    cast, nearest, ours = (
        cast.reshape(SIZE, SIZE),
        nearest.reshape(SIZE, SIZE),
        rasterize(p, model.faces, SIZE, SIZE),
    )
    hit = nearest >= 0
    both = hit & ours.mask
    assert hit.sum() > 1000 and both.sum() / (hit | ours.mask).sum() >= 0.995
    error, same = np.abs(cast[both] - ours.depth[both]) / EYES, nearest[both] == ours.tri[both]
    assert same.mean() > 0.99 and error[same].max() < 1e-3 and (error < 1e-3).mean() > 0.999


def test_points_out_of_range_are_left_out(model):
    p = placed(model, rng(2))
    whole = rasterize(p, model.faces, SIZE, SIZE).mask.sum()
    for bad in (np.nan, np.inf, 1e9):
        q = p.copy()
        q[model.faces[:50].ravel()] = bad
        assert 0 < rasterize(q, model.faces, SIZE, SIZE).mask.sum() <= whole
    assert not rasterize(p + np.float32([1e5, 0, 0]), model.faces, SIZE, SIZE).mask.any()
