"""Head models that users bring themselves."""

import os, pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from threedad.core import FileError, UsageError, rng
from threedad.morphable import (
    LANDMARKS_68,
    MorphableModel,
    euler_to_matrix,
    pack62,
    project,
    unpack62,
)
from threedad.heads import load_bfm, load_blendshapes, read_pickle
from threedad.morphable import unwhiten
from threedad.raster import rasterize
from threedad.render import Surface, render, unwrap

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


def test_no_pickle_runs(tmp_path):
    path, mark = tmp_path / "x.pkl", tmp_path / "sprung"

    class Trap:
        def __init__(self, *how):
            self.how = how

        def __reduce__(self):
            return self.how

    traps = [
        Trap(os.system, (f"touch {mark}",)),
        Trap(eval, (f"open({str(mark)!r}, 'w')",)),
        Trap(np.save, (str(mark), [1])),
        Trap(np.fromfile, (str(path),)),
        Trap(getattr, ("", "join")),
    ]
    for trap in traps:
        for protocol in range(2, 6):
            path.write_bytes(pickle.dumps({"u": np.zeros(3), "w": [trap]}, protocol))
            with pytest.raises(FileError, match=r"x\.pkl: refused: it asks for") as e:
                read_pickle(path)
            assert "\n" not in str(e.value) and not mark.exists()
    hand = [
        b"cnumpy\nndarray.tofile\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
        b"cnumpy\ndtype\n(S'O'\nI00\nI01\ntR.",
        b"cbuiltins\nexec\n(S'x'\ntR.",
        b"Pabc\n.",
        b"cbuiltins\nbytes\n(I9999999999999\ntR.",
        b"\x82\x01.",
    ]
    for code in hand:
        path.write_bytes(code)
        with pytest.raises(FileError, match=r"x\.pkl"):
            read_pickle(path)
    path.write_bytes(pickle.dumps(np.array([{}, []], object)))
    with pytest.raises(FileError, match="type object"):
        read_pickle(path)


def test_damaged_pickles_are_named(tmp_path, model):
    path = tmp_path / "x.pkl"
    whole = pickle.dumps({"u": np.arange(100.0), "n": 3})
    for n in (0, 1, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:n])
        with pytest.raises(FileError, match=r"x\.pkl"):
            read_pickle(path)
    g = rng(5)
    for _ in range(300):
        b = bytearray(whole)
        for i in g.integers(0, len(b), 3):
            b[i] = g.integers(256)
        path.write_bytes(bytes(b))
        try:
            read_pickle(path)
        except FileError as e:
            assert "\n" not in str(e)
    with pytest.raises(FileError, match="No such file"):
        read_pickle(tmp_path / "none.pkl")


@pytest.mark.parametrize("protocol", range(2, 6))
def test_arrays_survive(tmp_path, protocol):
    g = rng(6)
    given = {
        "f": np.asfortranarray(g.normal(size=(3, 4))),
        "i": g.integers(0, 9, (2, 0, 3)),
        "big": np.arange(3, dtype=">i4"),
        "b": np.array([True, False]),
        "s": np.array(["a", "bc"]),
        "x": np.float32(2.5),
        "deep": [(1, {"k": np.arange(2)})],
        "scalar": np.array(7),
    }
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(given, protocol))
    got = read_pickle(tmp_path / "x.pkl")
    for k in ("f", "i", "big", "b", "s", "scalar"):
        assert (
            np.array_equal(got[k], given[k])
            and got[k].dtype == given[k].dtype
            and got[k].shape == given[k].shape
        )
    assert got["x"] == 2.5 and np.array_equal(got["deep"][0][1]["k"], [0, 1])


# adapters


@pytest.fixture(scope="module")
def bfm_files(model, marks, tmp_path_factory):
    "The shipped head as a file of 3DDFA_V2, more components than are read."
    folder, g = tmp_path_factory.mktemp("bfm"), rng(7)

    def flat(B):
        return (EYES * B).reshape(len(B), -1).T.astype(np.float32)

    d = dict(
        u=(EYES * model.mean).reshape(-1, 1),
        w_shp=np.c_[flat(model.identity) / 1e5, np.zeros((3 * len(model.mean), 5), np.float32)],
        w_exp=flat(model.expression),
        keypoints=(3 * marks[:, None] + [0, 1, 2]).ravel(),
    )
    stats = (
        np.r_[np.zeros(12), g.normal(size=40) * 2e4, g.normal(size=10) * 0.1],
        np.r_[np.ones(12), g.uniform(0.5, 1.5, 40) * 1e5, g.uniform(0.5, 1, 10)],
    )
    (folder / "bfm_noneck_v3.pkl").write_bytes(pickle.dumps(d))
    (folder / "tri.pkl").write_bytes(pickle.dumps(model.faces[:, ::-1].T))
    (folder / "stats.pkl").write_bytes(pickle.dumps(dict(mean=stats[0], std=stats[1])))
    return folder, d, stats


def test_bfm_decodes_as_3ddfa(model, bfm_files):
    folder, d, (mean, std) = bfm_files
    bfm, plain = (
        load_bfm(folder / "bfm_noneck_v3.pkl", folder / "tri.pkl", folder / "stats.pkl"),
        load_bfm(folder / "bfm_noneck_v3.pkl", folder / "tri.pkl"),
    )
    assert (
        bfm.identity.shape == (40, *model.mean.shape)
        and bfm.expression.shape == (10, *model.mean.shape)
        and bfm.actions.shape == (0, *model.mean.shape)
    )
    assert np.array_equal(np.sort(bfm.faces, 1), np.sort(model.faces, 1)) and np.array_equal(
        rasterize(project(bfm.mean, 40.0, np.eye(3), [64, 64]), bfm.faces, 128, 128).mask,
        rasterize(project(bfm.mean, 40.0, np.eye(3), [64, 64]), model.faces, 128, 128).mask,
    )
    z = rng(8).normal(size=62)
    z[:12] = pack62(6e-4, euler_to_matrix(0.5, 0.2, 0.1), [60.0, 66.0], [], [])[:12]
    p = unwhiten(z, mean, std)
    M = p[:12].reshape(3, 4)
    theirs = (
        M[:, :3]
        @ (d["u"] + d["w_shp"][:, :40] @ p[12:52, None] + d["w_exp"] @ p[52:, None])
        .reshape(-1, 3)
        .T
        + M[:, 3:]
    ).T
    s, R, t, a, b = unpack62(p)
    at = np.array([t[0], 120 - t[1]])
    ours = project(bfm.vertices(identity=z[12:52], expression=z[52:]), s * bfm.info["unit"], R, at)
    assert (
        np.abs(ours[:, 0] - theirs[:, 0]).max() < 0.01
        and np.abs(120 - ours[:, 1] - theirs[:, 1]).max() < 0.01
    )
    raw = project(plain.vertices(identity=a, expression=b), s * plain.info["unit"], R, at)
    assert np.abs(raw[:, :2] - ours[:, :2]).max() < 0.01


def test_bfm_is_a_working_model(model, marks, bfm_files):
    folder, _, stats = bfm_files
    bfm = load_bfm(folder / "bfm_noneck_v3.pkl", folder / "tri.pkl", stats)
    q = bfm.landmarks(bfm.mean, "68")
    assert np.allclose(q, bfm.mean[marks], atol=1e-6)
    assert np.linalg.norm(q[36:42].mean(0) - q[42:48].mean(0)) == pytest.approx(1, rel=1e-5)
    assert bfm.landmark_ok.sum() == 51 and np.allclose(
        bfm.landmarks(bfm.mean)[LANDMARKS_68[17:]], q[17:], atol=1e-6
    )
    assert bfm.vertices(actions=np.zeros((2, 0))).shape == (
        2,
        *bfm.mean.shape,
    ) and bfm.landmark_basis("actions").shape == (0, 478, 3)
    assert np.allclose(
        bfm.vertices(identity=torch.ones(40)).numpy(),
        bfm.vertices(identity=np.ones(40)),
        atol=1e-4,
    )
    plain = load_bfm(folder / "bfm_noneck_v3.pkl", folder / "tri.pkl")
    assert np.linalg.norm(
        plain.mirrored(plain.mean) - plain.mean, axis=1
    ).max() < 0.04 and np.array_equal(plain.mirror, bfm.mirror)
    assert bfm.mirror_coefficients("actions", np.zeros((3, 0))).shape == (3, 0)
    assert (
        bfm.uv.min() >= 0
        and bfm.uv.max() <= 1
        and bfm.faces_of("face").all()
        and "0 actions" in repr(bfm)
    )
    p = project(bfm.mean, 30.0, np.eye(3), np.array([64.0, 66.0]))
    image, alpha = render(
        p, bfm.faces, (128, 128), Surface(bfm.uv, np.full((64, 64, 3), 180, np.uint8))
    )
    assert alpha.mean() > 0.2 and unwrap(image, p, bfm, 128)[1].max() == 1


def test_bad_bfm_files_are_named(bfm_files, tmp_path):
    folder, d, _ = bfm_files
    tri = folder / "tri.pkl"
    for change, cause in (
        (dict(w_shp=d["w_shp"][:-1]), "rows"),
        (dict(keypoints=d["keypoints"][:100]), "keypoints"),
        (dict(u=d["u"] * np.nan), "not finite"),
        (dict(keypoints=d["keypoints"] + 10**7), "keypoints"),
        (dict(u="text"), "not a face model"),
    ):
        (tmp_path / "b.pkl").write_bytes(pickle.dumps(d | change))
        with pytest.raises(FileError, match=f"b.pkl: .*{cause}"):
            load_bfm(tmp_path / "b.pkl", tri)
    (tmp_path / "b.pkl").write_bytes(pickle.dumps({k: v for k, v in d.items() if k != "w_exp"}))
    with pytest.raises(FileError, match="w_exp"):
        load_bfm(tmp_path / "b.pkl", tri)
    for bad in (np.zeros((4, 5)), np.full((3, 9), 10**6), {"tri": 1}):
        (tmp_path / "t.pkl").write_bytes(pickle.dumps(bad))
        with pytest.raises(FileError, match="t.pkl"):
            load_bfm(folder / "bfm_noneck_v3.pkl", tmp_path / "t.pkl")


def write_obj(path, V, faces=None, uv=None, relative=False):
    text = [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in V] + [
        f"vt {a:.7f} {b:.7f}" for a, b in (uv if uv is not None else ())
    ]
    for f in faces if faces is not None else ():
        text.append(
            "f "
            + " ".join(
                (
                    f"{i - len(V)}"
                    if relative
                    else f"{i + 1}/{i + 1}/"
                    if uv is not None
                    else f"{i + 1}"
                )
                for i in f
            )
        )
    path.write_text("# head\nmtllib none.mtl\n" + "\n".join(text) + "\n")


@pytest.fixture(scope="module")
def rig(model, tmp_path_factory):
    "The shipped head, all actions and five people, as Wavefront files; seams are joined, as in a real rig."
    folder = tmp_path_factory.mktemp("rig")
    (folder / "shapes").mkdir()
    (folder / "people").mkdir()
    first = np.unique(model.weld, return_index=True)[1]
    write_obj(folder / "neutral.obj", 10 * model.mean[first], model.weld[model.faces])
    for n, d in zip(model.action_names, model.actions):
        write_obj(
            folder / "shapes" / f"{n}.obj",
            10 * (model.mean + d)[first],
            model.weld[model.faces] if n == "jawOpen" else None,
        )
    for i, a in enumerate(rng(9).normal(size=(5, 40))):
        write_obj(folder / "people" / f"{i}.obj", 10 * model.vertices(a)[first])
    return folder, first


def test_blendshapes_make_the_same_head(model, marks, rig):
    folder, first = rig
    own = load_blendshapes(
        folder / "neutral.obj", folder / "shapes", folder / "people", model.weld[marks]
    )
    assert (
        own.action_names == model.action_names
        and own.actions.shape[0] == 52
        and own.expression.shape[0] == 10
        and 3 <= len(own.identity) <= 5
    )
    unit = own.info["unit"] / 10
    assert np.allclose(own.actions[:, own.faces] * unit, model.actions[:, model.faces], atol=1e-4)
    ours, theirs = (
        np.linalg.norm(m.expression[:, m.faces].reshape(10, -1), axis=1) for m in (own, model)
    )
    assert np.allclose(ours * unit, theirs, rtol=0.1), (
        "expression components as large as those of the build"
    )
    people = np.stack([model.vertices(a) for a in rng(9).normal(size=(5, 40))])[:, model.faces]
    X = (people - people.mean(0)).reshape(5, -1) / unit
    B = own.identity[:, own.faces].reshape(len(own.identity), -1)
    assert np.abs(X - X @ np.linalg.pinv(B) @ B).max() < 1e-3, (
        "the people lie in the span of the components"
    )
    assert own.landmark_ok.sum() == 51
    alone = load_blendshapes(folder / "neutral.obj", {}, landmarks=model.weld[marks])
    assert np.linalg.norm(alone.mirrored(alone.mean) - alone.mean, axis=1).max() < 0.06


def test_seams_quads_and_relative_indices(tmp_path):
    V = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [9, 9, 9.0]])
    text = (
        "".join(f"v {x} {y} {z}\n" for x, y, z in V) + "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvt .5 .5\n"
    )
    (tmp_path / "n.obj").write_text(text + "usemtl a\nf 1/1 2/2 3/3\nusemtl b\nf 1/5 3/3 4/4\n")
    (tmp_path / "quad.obj").write_text(text + "f -5 -4 -3 -2\n")
    V[2, 2] = 1
    write_obj(tmp_path / "up.obj", V)
    own = load_blendshapes(tmp_path / "n.obj", {"up": tmp_path / "up.obj"})
    assert len(own.mean) == 5 and len(own.faces) == 2, (
        "vertex 1 is split by its seam, vertex 5 has no face"
    )
    assert (
        sorted(own.actions[0, :, 2].round(6)) == [0, 0, 0, 0, 1] and len(np.unique(own.weld)) == 4
    )
    assert {tuple(np.round(uv, 3)) for uv in own.uv.tolist()} == {
        (0, 0),
        (1, 0),
        (1, 1),
        (0, 1),
        (0.5, 0.5),
    }
    quad = load_blendshapes(tmp_path / "quad.obj", {})
    assert (
        len(quad.faces) == 2
        and quad.actions.shape == quad.expression.shape == (0, 4, 3)
        and not quad.landmark_ok.any()
    )
    with pytest.raises(UsageError, match="no 68 landmarks"):
        quad.landmarks(quad.mean, "68")


def test_bad_obj_files_are_named(tmp_path, rig):
    folder, _ = rig
    for text in (
        "",
        "v 1 2\n",
        "v a b c\n",
        "v 0 0 0\nf 1 2 3\n",
        "v 0 0 0\nf 1/x 1 1\n",
        "v nan 0 0\nf 1 1 1\n",
        "v 0 0 0\n",
    ):
        (tmp_path / "bad.obj").write_text(text)
        with pytest.raises(FileError, match=r"bad\.obj"):
            load_blendshapes(tmp_path / "bad.obj", {})
    write_obj(tmp_path / "other.obj", np.zeros((3, 3)))
    with pytest.raises(FileError, match=r"other\.obj: not the topology"):
        load_blendshapes(folder / "neutral.obj", {"x": tmp_path / "other.obj"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="no .obj"):
        load_blendshapes(folder / "neutral.obj", tmp_path / "empty")
    with pytest.raises(UsageError, match="68 vertices"):
        load_blendshapes(folder / "neutral.obj", {}, landmarks=[1, 2])
