"""Figures of trajectories and ROC curves: colours, units, gaps, names, and what cannot be drawn."""

import matplotlib

matplotlib.use("Agg")
import io

import numpy as np
import pandas as pd
import pytest
from helpers import tables
from helpers.heads import head_track

from threedad.core import COLORS, PALETTE, ThreedadError, UsageError
from threedad.evaluate import video_scores
from threedad.fit import fit
from threedad.measures import operating_point
from threedad.motion import column_label, with_gaps
from threedad.plots import (
    check_table,
    layers,
    plot_roc,
    plot_trajectories,
    roc_figure,
    roc_layers,
    trajectory_figure,
    with_labels,
)
from threedad.trajectory import Trajectory

VIDEOS = tables.videos()
TRAJECTORIES = tables.trajectories(VIDEOS)
LABELLED = with_labels(TRAJECTORIES, VIDEOS)
PREDICTIONS = tables.predictions()
NAMES = [
    "$x^$",
    "a$b$c",
    "<b>bold</b>",
    "%{y} up",
    "_hidden",
    "two\nlines",
    "caf\udce9.mp4",
    "a&b",
]


def pixels(fig):
    """Draw a still figure to its end."""
    fig.savefig(out := io.BytesIO(), format="png")
    return out.tell()


def legend(fig):
    return [t.get_text() for t in fig.axes[0].get_legend().get_texts()]


@pytest.mark.parametrize(
    "column, unit",
    [
        ("yaw", "degrees"),
        ("id_39", "standard deviations"),
        ("exp_00", "standard deviations"),
        ("jawOpen", "activation"),
        ("time", "s"),
        ("x1", "px"),
        ("blendshape_jawOpen", "score"),
        ("visible_left_eye", "share"),
        ("size", "px"),
    ],
)
def test_every_axis_has_its_unit(column, unit):
    assert column_label(column) == f"{column} ({unit})"
    table = tables.trajectory().assign(**{column: 0.5})
    still = plot_trajectories({"real": table}, [column]).axes[0].get_ylabel()
    touch = trajectory_figure({"real": table}, [column]).layout.yaxis.title.text
    assert still.replace("\n", " ") == touch.replace("<br>", " ") == f"{column} ({unit})"


@pytest.mark.parametrize("given", ["one labelled table", "named tables", "tables with a label"])
def test_real_is_blue_and_fake_vermillion_in_every_figure(given):
    parts = {k: LABELLED[LABELLED.label == i] for i, k in enumerate(("real", "fake"))}
    if given == "one labelled table":
        what = LABELLED
    elif given == "named tables":
        what = {k: t.drop(columns="label") for k, t in parts.items()}
    else:
        what = {"A": parts["real"], "B": parts["fake"]}
    expected = [COLORS["real"], COLORS["fake"]]
    assert [layer.color for layer in layers(what, ["yaw"])] == expected
    still = plot_trajectories(what, ["yaw"], max_lines=0).axes[0].lines
    assert [line.get_color() for line in still] == expected
    touch = trajectory_figure(what, ["yaw"], max_lines=1).data
    assert [t.line.color for t in touch] == expected


def test_other_things_never_take_the_two_colours():
    many = {f"fit {i}": TRAJECTORIES for i in range(12)}
    assert not {layer.color for layer in layers(many, ["yaw"])} & set(COLORS.values())
    curves = roc_layers(PREDICTIONS)
    assert [c.name for c in curves] == ["all fakes", "reenact", "swap"]
    assert not {c.color for c in curves} & set(COLORS.values())


@pytest.mark.parametrize("name", NAMES)
def test_names_are_written_as_they_are(name):
    fig = plot_trajectories({name: tables.trajectory()}, ["yaw"], title=name)
    assert pixels(fig) > 0
    assert len(legend(fig)) == 1, "the legend leaves the name out"
    nameless = tables.trajectory().drop(columns="video_id")
    touch = trajectory_figure({name: nameless}, ["yaw"], title=name)
    touch.to_json()
    assert "<b>bold" not in touch.data[0].name and "%{y} up" not in touch.data[0].hovertemplate


@pytest.mark.parametrize("name", [n for n in NAMES if n.isascii()])
def test_names_of_manipulations_are_written_as_they_are(name):
    p = PREDICTIONS.assign(manipulation=PREDICTIONS.manipulation.replace("swap", name))
    fig = plot_roc(p, title=name)
    assert pixels(fig) > 0 and len(legend(fig)) == 6
    assert "<b>bold" not in "".join(t.name for t in roc_figure(p, title=name).data)


THIN = {
    "one frame": TRAJECTORIES[TRAJECTORIES.frame == 3],
    "one video of one frame": TRAJECTORIES[:1],
    "only missing values": TRAJECTORIES.assign(yaw=np.nan),
    "whole numbers": TRAJECTORIES.assign(yaw=TRAJECTORIES.yaw.round().astype(int)),
    "rows in any order": TRAJECTORIES.sample(frac=1, random_state=0),
    "rows twice": pd.concat([TRAJECTORIES, TRAJECTORIES]),
    "frames left out": TRAJECTORIES[TRAJECTORIES.frame % 7 != 0],
}


@pytest.mark.parametrize("table", THIN.values(), ids=THIN)
@pytest.mark.parametrize("x", ["time", "frame"])
def test_little_to_draw_is_drawn(table, x):
    assert pixels(plot_trajectories({"real": table}, ["yaw"], x=x)) > 0
    trajectory_figure({"real": table}, ["yaw"], x=x, at=1).to_json()


EMPTY = {
    "no tables": {},
    "an empty table": LABELLED[:0],
    "only empty tables": {"real": LABELLED[:0], "fake": LABELLED[:0]},
}


@pytest.mark.parametrize("given", EMPTY.values(), ids=EMPTY)
def test_nothing_to_draw_is_said(given):
    for draw in (plot_trajectories, trajectory_figure):
        with pytest.raises(UsageError, match="no trajectories to draw"):
            draw(given, ["yaw"])


@pytest.mark.parametrize("wrong", [None, "table.parquet", [1, 2], {"yaw": [1.0]}, np.zeros(3)])
@pytest.mark.parametrize("draw", [plot_trajectories, trajectory_figure, plot_roc, roc_figure])
def test_wrong_types_give_a_sentence(draw, wrong):
    with pytest.raises(ThreedadError) as said:
        draw(wrong)
    assert "table" in str(said.value) and "\n" not in str(said.value)


@pytest.mark.parametrize("asked, near", [("jawopen", "jawOpen"), ("yaww", "yaw"), ("tim", "time")])
def test_a_misspelt_column_is_answered_with_its_neighbours(asked, near):
    with pytest.raises(UsageError, match=f"no column {asked}, perhaps .*{near}"):
        check_table(TRAJECTORIES, "trajectories", [asked])
    with pytest.raises(UsageError, match=f"perhaps .*{near}"):
        plot_trajectories(LABELLED, [asked])


@pytest.mark.parametrize("missing", [range(10, 14), range(1, 3), [5, 20, 40]])
def test_gaps_stay_gaps(missing):
    table = tables.trajectory()
    holed = with_gaps(table[~table.frame.isin(missing)])
    assert holed.frame.tolist() == table.frame.tolist()
    assert holed.frame[holed.yaw.isna()].tolist() == list(missing)
    np.testing.assert_allclose(holed.time, table.time)
    drawn = plot_trajectories({"real": table[~table.frame.isin(missing)]}, ["yaw"])
    assert np.isnan(drawn.axes[0].lines[0].get_ydata()).sum() == len(missing)


@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_table_of_every_nth_frame_has_no_gaps(step):
    assert with_gaps(tables.trajectory()[::step]).yaw.notna().all()


@pytest.mark.parametrize("left_out", [[0], [1, 4], [0, 1, 2, 3, 4, 5]])
def test_a_trajectory_without_its_video_is_named(left_out):
    with pytest.raises(
        UsageError, match=f"^{len(left_out)} videos .*{VIDEOS.video_id[left_out[0]]}"
    ):
        with_labels(TRAJECTORIES, VIDEOS.drop(left_out))


def test_labels_are_joined_once():
    again = with_labels(LABELLED, VIDEOS)
    assert again.columns.tolist() == LABELLED.columns.tolist() and len(again) == len(LABELLED)


@pytest.mark.parametrize("threshold", [0.0, 0.45, 0.5, 0.8, 1.0])
def test_the_dot_is_the_operating_point(threshold):
    v = video_scores(PREDICTIONS)
    p = operating_point(v.label, v.score, threshold)
    dot = next(a for a in plot_roc(PREDICTIONS, threshold).axes[0].lines if a.get_marker() == "o")
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (p.fpr, p.tpr)
    fig = roc_figure(PREDICTIONS, threshold, scores=True)
    touch = next(t for t in fig.data if t.name == "operating point")
    assert (touch.x[0], touch.y[0], fig.layout.shapes[0].x0) == (p.fpr, p.tpr, threshold)
    assert sum(sum(t.y) for t in fig.data if t.type == "bar") == len(v)


def test_the_roc_figure_counts_videos_not_clips():
    title = plot_roc(PREDICTIONS, title="A title").axes[0].get_title(loc="left")
    assert title == "A title\n8 real and 16 fake videos"
    assert "8 real and 16 fake videos" in roc_figure(PREDICTIONS).layout.title.text
    assert roc_layers(PREDICTIONS)[0].color == PALETTE[7]


REFUSED = {
    "two detectors": (PREDICTIONS.assign(detector=["a", "b"] * 72), "predictions of 2 detectors"),
    "no scores": (PREDICTIONS.drop(columns="score"), "predictions lack score"),
    "a score that is none": (PREDICTIONS.assign(score=np.nan), "not finite"),
    "only reals": (PREDICTIONS[PREDICTIONS.label == 0], "needs"),
    "a label of two": (PREDICTIONS.assign(label=2), "labels are 0"),
}


@pytest.mark.parametrize("predictions, said", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("draw", [plot_roc, roc_figure])
def test_predictions_that_make_no_curve_give_a_sentence(draw, predictions, said):
    with pytest.raises(UsageError, match=said):
        draw(predictions)


def test_standard_errors_are_drawn_around_one_video_and_stop_at_gaps():
    found = fit(head_track(frames=20))
    holed = found[np.r_[0:8, 12:20]]
    fig = plot_trajectories(holed, ["yaw", "jawOpen"])
    assert [len(ax.collections) for ax in fig.axes] == [1, 1]
    bands = [t for t in trajectory_figure(holed, ["yaw"]).data if t.fill == "toself"]
    assert len(bands) == 2 and all(len(t.x) == 16 for t in bands)
    top = np.asarray(bands[0].y)[:8] - holed.table.yaw[:8]
    np.testing.assert_allclose(top, 2 * holed.errors.yaw[:8], rtol=1e-3)


def test_a_table_without_errors_has_no_band():
    found = fit(head_track(frames=6))
    for given in ({"real": found.table}, {"real": Trajectory(found.table)}):
        assert not plot_trajectories(given, ["yaw"]).axes[0].collections
