"""The explorers, moved from Python: what a slider or a choice changes."""

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers import tables

from threedad.core import StoreError, UsageError
from threedad.evaluate import video_scores
from threedad.measures import operating_point
from threedad.widgets import ColumnChoice, RocExplorer, TrajectoryExplorer

VIDEOS = tables.videos()
TRAJECTORIES = tables.trajectories(VIDEOS)
PREDICTIONS = tables.predictions()


def grey(video_id, frame):
    """A picture whose brightness is the frame."""
    return np.full((32, 32, 3), 4 * frame, np.uint8)


def brightness(picture):
    return cv2.imdecode(np.frombuffer(picture.image.value, np.uint8), cv2.IMREAD_COLOR).mean()


def line(explorer):
    shape = explorer.plot.figure.layout.shapes[0]
    assert shape.x0 == shape.x1
    return shape.x0


class Shop:
    """Looks like a store, with a JPEG per frame."""

    videos = VIDEOS
    trajectories = TRAJECTORIES

    def shard(self, video_id):
        if video_id.endswith("p2"):
            raise StoreError("shard", "damaged")
        frames = range(50)
        return pd.DataFrame(dict(frame=frames, jpeg=[b"%d" % f for f in frames]))


@pytest.mark.parametrize("frame", [0, 17, 59])
def test_the_slider_moves_line_faces_and_values(frame):
    e = TrajectoryExplorer(VIDEOS, TRAJECTORIES, grey, columns=["yaw"])
    e.frames.slider.value = 30
    e.frames.slider.value = frame
    assert line(e) == frame
    for kind, face in e.faces.items():
        assert brightness(face) == pytest.approx(4 * frame, abs=1)
        assert f"{frame / 25:.2f} s" in face.caption.value
        t = TRAJECTORIES[TRAJECTORIES.video_id == e.videos[kind].value].set_index("frame")
        assert f">{t.yaw[frame]:.3f}<" in e.readout.value
    assert f"frame {frame}<" in e.readout.value


def test_the_first_pair_shares_a_person():
    e = TrajectoryExplorer(VIDEOS.assign(group=["a", "b+c", "d", "e+a", "f", "g"]), TRAJECTORIES)
    assert [d.value for d in e.videos.values()] == ["toy/original/p0", "toy/swap/p1"]


@pytest.mark.parametrize("gone", [[10], range(5, 9), range(0, 11)])
def test_a_frame_without_a_face_is_blank(gone):
    lost = (TRAJECTORIES.video_id == "toy/swap/p0") & TRAJECTORIES.frame.isin(gone)
    e = TrajectoryExplorer(VIDEOS, TRAJECTORIES[~lost], grey, columns=["yaw"])
    e.frames.slider.value = gone[-1]
    assert "no face in this frame" in e.faces["fake"].caption.value
    assert "no face" not in e.faces["real"].caption.value
    assert brightness(e.faces["fake"]) > 225 and ">–<" in e.readout.value


@pytest.mark.parametrize("columns", [["yaw"], ["jawOpen", "yaw"], []])
def test_other_coefficients_make_other_curves(columns):
    e = TrajectoryExplorer(VIDEOS, TRAJECTORIES, columns=["eyeBlinkLeft"])
    e.frames.slider.value = 12
    e.columns.tags.value = columns
    if not columns:
        assert e.plot.figure is None and "choose a video" in e.plot.children[0].value
    else:
        assert len(e.plot.figure.data) == 2 * len(columns) and line(e) == 12
    e.columns.box.value = "eyeBlinkLeft"
    assert e.columns.tags.value == [*columns, "eyeBlinkLeft"] and line(e) == 12


@pytest.mark.parametrize("kind, other", [("real", "fake"), ("fake", "real")])
def test_one_video_is_enough(kind, other):
    e = TrajectoryExplorer(VIDEOS, TRAJECTORIES, grey)
    e.videos[kind].value = None
    assert {t.name for t in e.plot.figure.data} == {other}
    assert "no video" in e.faces[kind].caption.value
    e.videos[other].value = None
    assert e.plot.figure is None
    e.videos[kind].value = f"toy/{'original' if kind == 'real' else 'swap'}/p1"
    assert {t.name for t in e.plot.figure.data} == {kind}


def test_a_store_brings_tables_and_pictures():
    e = TrajectoryExplorer(Shop())
    e.frames.slider.value = 7
    assert [f.image.value for f in e.faces.values()] == [b"7", b"7"]
    e.frames.slider.value = 55
    assert all("no picture" in f.caption.value for f in e.faces.values())
    e.frames.slider.value = 7
    e.videos["real"].value = "toy/original/p2"
    assert "no picture" in e.faces["real"].caption.value
    assert e.faces["fake"].image.value == b"7"


PICTURES = {
    "grey": np.zeros((8, 8), np.uint8),
    "floats": np.zeros((8, 8, 3)),
    "four channels": np.zeros((8, 8, 4), np.uint8),
    "nothing": None,
    "text": "frame.jpg",
}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_a_picture_that_is_none_gives_a_sentence(picture):
    with pytest.raises(UsageError, match="frame_image must return RGB"):
        TrajectoryExplorer(VIDEOS, TRAJECTORIES, lambda video, frame: picture)


REFUSED = {
    "a path": (("data/store",), {}, "a Store or a table of videos is needed, not str"),
    "nothing": ((None,), {}, "needed, not NoneType"),
    "videos alone": ((VIDEOS,), {}, "needs its trajectories"),
    "no labels": ((VIDEOS.drop(columns="label"), TRAJECTORIES), {}, "videos: no column label"),
    "unknown labels": ((VIDEOS.assign(label=-1), TRAJECTORIES), {}, "no video with a label"),
    "others' trajectories": (
        (VIDEOS, TRAJECTORIES.assign(video_id="x")),
        {},
        "no video with a label and a trajectory",
    ),
    "an unknown video": ((VIDEOS, TRAJECTORIES), dict(real="x"), "x: no real video"),
    "a fake for a real": (
        (VIDEOS, TRAJECTORIES),
        dict(real="toy/swap/p0"),
        "toy/swap/p0: no real video",
    ),
}


@pytest.mark.parametrize("given, named, said", REFUSED.values(), ids=REFUSED)
def test_nothing_to_explore_is_said(given, named, said):
    with pytest.raises(UsageError, match=said):
        TrajectoryExplorer(*given, **named)


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "a<b", "&amp;"])
def test_names_of_coefficients_are_escaped(name):
    table = TRAJECTORIES.rename(columns=dict(yaw=name))
    e = TrajectoryExplorer(VIDEOS, table, columns=[name])
    assert name in e.columns.tags.value and f">{name}<" not in e.readout.value


def test_only_numbers_can_be_chosen():
    table = tables.trajectory().assign(status="ok", label=1)
    choice = ColumnChoice(table, ["status", "nothing"])
    assert list(choice.tags.allowed_tags) == ["yaw", "jawOpen", "eyeBlinkLeft"]
    assert choice.tags.value == ["yaw", "jawOpen", "eyeBlinkLeft"]


@pytest.mark.parametrize("threshold", [0.0, 0.35, 0.6, 1.0])
@pytest.mark.parametrize("fakes", ["all fakes", "swap", "reenact"])
def test_a_threshold_moves_everything(threshold, fakes):
    e = RocExplorer(PREDICTIONS)
    e.fakes.value, e.threshold.value = fakes, threshold
    v = video_scores(PREDICTIONS)
    v = v[v.manipulation.isin(["original", fakes]) | (fakes == "all fakes")]
    p = operating_point(v.label, v.score, threshold)
    assert e.point == p or np.isnan(p.precision)
    dot = next(t for t in e.figure.data if t.name == "operating point")
    assert (dot.x[0], dot.y[0]) == (p.fpr, p.tpr)
    assert e.figure.layout.shapes[0].x0 == threshold
    for name in ("tn", "fp", "fn", "tp"):
        assert f'class="threedad-{name}"' in e.confusion.value
        assert f">{getattr(p, name)}<" in e.confusion.value
    shown = "–" if np.isnan(p.precision) else f"{p.precision:.3f}"
    assert f">{shown}<" in e.rates.value and f">{p.tpr:.3f}<" in e.rates.value


@pytest.mark.parametrize(
    "predictions, said",
    [
        (PREDICTIONS[PREDICTIONS.label == 0], "needs"),
        (PREDICTIONS.assign(detector=["a", "b"] * 72), "2 detectors"),
        ("predictions.parquet", "a table .* is needed"),
    ],
)
def test_scores_that_make_no_curve_give_a_sentence(predictions, said):
    with pytest.raises(UsageError, match=said):
        RocExplorer(predictions)
