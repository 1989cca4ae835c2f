"""The 62-number codec, pose, and the 68 landmarks."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from threedad.core import FileError, UsageError, rng
from threedad.heads import load_mean_std
from threedad.morphable import (
    LANDMARKS_68,
    MorphableModel,
    euler_to_matrix,
    matrix_to_euler,
    pack62,
    project,
    unpack62,
    unwhiten,
    whiten,
)

GOLDEN = Path(__file__).resolve().parents[2] / "shared/golden"
EYES = 9e4  # units of the synthetic Basel file in an eye distance


@pytest.fixture(scope="module")
def model():
    return MorphableModel.load()


@pytest.fixture(scope="module")
def marks(model):
    return np.array(
        [model.faces[f][b.argmax()] for f, b in zip(model.landmark68_faces, model.landmark68_bary)]
    )


# the codec


def test_round_trip_is_exact():
    g = rng(0)
    shape = (3, 4, 5)
    yaw = np.concatenate(
        [g.uniform(-1.5, 1.5, 56), [np.pi / 2, -np.pi / 2, np.pi / 2 - 1e-6, 1e-5 - np.pi / 2]]
    ).reshape(shape)
    R = euler_to_matrix(yaw, g.uniform(-3, 3, shape), g.uniform(-3, 3, shape))
    given = (
        g.uniform(1e-4, 80, shape),
        R,
        g.normal(size=shape + (3,)) * 100,
        g.normal(size=shape + (40,)),
        g.normal(size=shape + (10,)),
    )
    code = pack62(*given)
    assert code.shape == shape + (62,)
    for got, want in zip(unpack62(code), given):
        assert np.abs(got - want).max() < 1e-9
    assert np.abs(pack62(*unpack62(code)) - code).max() < 1e-9
    assert np.abs(euler_to_matrix(*matrix_to_euler(R)) - R).max() < 1e-9


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("gap", [0, 1e-16, 1e-13, 1e-11, 1e-9, 1e-7, 1e-5, 1e-4, 1e-3, 1e-2])
def test_profile_gives_its_rotation_back(side, gap):
    g = rng(1)
    R = euler_to_matrix(side * (np.pi / 2 - gap), g.uniform(-3, 3, 50), g.uniform(-3, 3, 50))
    again = euler_to_matrix(
        *matrix_to_euler(unpack62(pack62(30.0, R, np.zeros(2), np.zeros(40), np.zeros(10)))[1])
    )
    assert np.abs(again - R).max() < 1e-9


def test_odd_scales_and_short_codes(model):
    g = rng(2)
    R, t = euler_to_matrix(0.4, -0.2, 0.3), np.array([3.0, 4.0])
    s, Q, t3, a, b = unpack62(pack62(-25.0, R, t, g.normal(size=7), []))
    assert (
        s == pytest.approx(25)
        and np.linalg.det(Q) == pytest.approx(1)
        and not a[7:].any()
        and not b.any()
    )
    assert (
        np.abs(
            project(model.mean, s, Q, t3)[:, :2] - project(model.mean, -25.0, R, t)[:, :2]
        ).max()
        < 1e-4
    )
    s, Q, t3, *_ = unpack62(pack62(np.zeros(3), R, t, np.zeros((3, 40)), np.zeros((3, 10))))
    assert (
        not s.any()
        and np.array_equal(Q, np.tile(np.eye(3), (3, 1, 1)))
        and np.array_equal(t3[:, :2], np.tile(t, (3, 1)))
    )
    with pytest.raises(UsageError, match="identity: 41"):
        pack62(1.0, R, t, np.zeros(41), [])


def test_whitening(tmp_path):
    g = rng(3)
    p, mean, std = g.normal(size=(4, 2, 62)), g.normal(size=62), g.uniform(0.1, 2, 62)
    std[5] = 0
    p[..., 5] = mean[5]
    z = whiten(p, mean, std)
    assert np.isfinite(z).all() and np.abs(unwhiten(z, mean, std) - p).max() < 1e-12
    (tmp_path / "s.pkl").write_bytes(
        pickle.dumps({"mean": mean.astype(np.float32), "std": std.astype(np.float32)})
    )
    np.savez(tmp_path / "s.npz", mean=mean, std=std)
    for name in ("s.pkl", "s.npz"):
        m, s = load_mean_std(tmp_path / name)
        assert np.allclose(m, mean, atol=1e-6) and np.allclose(s, std, atol=1e-6)
    for bad in (
        {"mean": mean},
        {"mean": mean, "std": -std},
        {"mean": mean[:61], "std": std[:61]},
        [1, 2],
        {"mean": np.full(62, np.nan), "std": std},
    ):
        (tmp_path / "bad.pkl").write_bytes(pickle.dumps(bad))
        with pytest.raises(FileError, match="bad.pkl"):
            load_mean_std(tmp_path / "bad.pkl")
    (tmp_path / "bad.npz").write_text("no")
    with pytest.raises(FileError, match="bad.npz"):
        load_mean_std(tmp_path / "bad.npz")


def test_pose_of_3ddfa():
    "The reference's own outputs: whitened codes to degrees within a tenth."
    if not (GOLDEN / "mb05.npz").exists():
        pytest.skip("golden numbers are not at hand")
    d = np.load(GOLDEN / "mb05.npz")
    R = unpack62(
        unwhiten(d["params62_normalised"], *load_mean_std(GOLDEN / "params62_mean_std.npz"))
    )[1]
    assert np.abs(np.degrees(matrix_to_euler(R)).T - d["yaw_pitch_roll_deg"]).max() < 0.1


# landmarks and mirror


def test_68_points(model):
    q, dense = model.landmarks(model.mean, "68"), model.landmarks(model.mean)
    assert q.shape == (68, 3) and len(set(LANDMARKS_68)) == 68
    kept = np.delete(np.arange(17, 68), 33 - 17)
    assert model.landmark_ok[np.array(LANDMARKS_68)[kept]].all() and np.array_equal(
        q[kept], dense[np.array(LANDMARKS_68)[kept]]
    )
    jaw = q[:17]
    assert (np.diff(jaw[:, 0]) > -0.02).all() and jaw[:, 1].argmin() == 8, (
        "from the right ear over the chin to the left"
    )
    steps = np.linalg.norm(np.diff(jaw, axis=0), axis=1)
    assert steps.max() < 0.6 and steps.min() > 0.1
    twin = np.r_[
        16:-1:-1,
        26:16:-1,
        27:31,
        35:30:-1,
        45:41:-1,
        47:45:-1,
        39:35:-1,
        41:39:-1,
        54:47:-1,
        59:54:-1,
        64:59:-1,
        67:64:-1,
    ]
    assert (
        sorted(twin) == list(range(68))
        and np.linalg.norm(q[twin] * [-1, 1, 1] - q, axis=1).max() < 0.06
    )
    X = model.vertices(np.zeros((2, 3, 40)))
    assert model.landmarks(X, "68").shape == (2, 3, 68, 3)
    assert torch.allclose(
        model.landmarks(torch.from_numpy(X), "68"),
        torch.from_numpy(model.landmarks(X, "68")),
        atol=1e-6,
    )
    assert model.landmark_basis("actions", "68").shape == (52, 68, 3)
    with pytest.raises(UsageError, match="'5'"):
        model.landmarks(X, "5")


def test_mirror(model):
    face = np.unique(model.faces[model.faces_of("face", "lips", "brows")])
    assert np.linalg.norm(model.mirrored(model.mean) - model.mean, axis=1)[face].max() < 0.01
    assert np.abs(model.mirrored(model.mirrored(model.mean)) - model.mean).max() < 1e-6
    for i, n in enumerate(model.action_names):
        j = int(model.mirror_coefficients("actions", np.eye(52)[i]).argmax())
        swapped = n.replace("Left", "*").replace("Right", "Left").replace("*", "Right")
        assert model.action_names[j] == swapped
        assert (
            np.linalg.norm(model.mirrored(model.actions[i]) - model.actions[j], axis=1).max()
            < 0.04
        ), n
    a = rng(4).normal(size=(3, 40))
    X = model.mirrored(torch.from_numpy(model.vertices(a)))
    assert (
        np.linalg.norm(
            X.numpy() - model.vertices(model.mirror_coefficients("identity", a)), axis=-1
        )[:, face].max()
        < 0.06
    )


def test_wrong_requests_are_named(model):
    with pytest.raises(UsageError, match="expression: 9 coefficients"):
        model.vertices(expression=np.zeros(9))
    with pytest.raises(UsageError, match="no region moustache"):
        model.faces_of("face", "moustache")


# pickles
