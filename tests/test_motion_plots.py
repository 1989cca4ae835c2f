"""Figures of movement: spectra, events, correlations, effects and pairs, still and to touch."""

import matplotlib

matplotlib.use("Agg")
import io

import numpy as np
import pandas as pd
import pytest
from helpers import tables

from threedad.core import COLORS, UsageError
from threedad.motion_plots import (
    correlation_figure,
    effects_figure,
    events_figure,
    pairs_figure,
    plot_correlation,
    plot_effects,
    plot_events,
    plot_pairs,
    plot_spectrum,
    spectrum_figure,
)
from threedad.plots import with_labels
from threedad.trajectory import Trajectory

VIDEOS = tables.videos()
LABELLED = with_labels(tables.trajectories(VIDEOS), VIDEOS)
ONE = tables.trajectory()
EFFECTS = pd.DataFrame(
    dict(
        feature=["up", "down", "unsure", "unknown"],
        effect=[0.8, -0.9, 0.1, np.nan],
        low=[0.5, -1.0, -0.4, np.nan],
        high=[0.9, -0.6, 0.5, np.nan],
        p_corrected=[0.01, 0.001, 0.9, np.nan],
    )
)
RATIOS = pd.DataFrame(
    dict(feature=["a"] * 4 + ["b"] * 4, ratio=[0.5, 0.5, 0.8, 2, 2, 4, 8, np.nan], fake_id="toy/f")
)
CORRELATIONS = pd.DataFrame(
    dict(
        pose=["yaw", "yaw", "pitch", "pitch"],
        coefficient=["jawOpen", "exp_00", "jawOpen", "exp_00"],
        r=[0.9, 0.1, -0.2, np.nan],
        p=[1e-6, 0.6, 0.5, np.nan],
    )
)


def pixels(fig):
    fig.savefig(out := io.BytesIO(), format="png")
    return out.tell()


@pytest.mark.parametrize("column, hz", [("yaw", 3.0), ("jawOpen", 6.0), ("exp_00", 9.0)])
def test_the_peak_is_where_the_movement_is(column, hz):
    t = tables.trajectory(frames=200)
    t[column] = np.sin(2 * np.pi * hz * t.time)
    fig = spectrum_figure({"real": t}, [column])
    curve = fig.data[0]
    assert curve.x[np.argmax(curve.y)] == pytest.approx(hz, abs=0.3)
    assert curve.line.color == COLORS["real"] and fig.layout.yaxis.type == "log"
    line = plot_spectrum({"real": t}, [column]).axes[0].lines[0]
    assert line.get_xdata()[np.argmax(line.get_ydata())] == pytest.approx(hz, abs=0.3)


def test_power_has_its_unit():
    assert plot_spectrum(LABELLED, ["yaw"]).axes[0].get_ylabel() == "yaw\n(degrees² per Hz)"
    assert spectrum_figure(LABELLED, ["yaw"]).layout.yaxis.title.text == "yaw<br>(degrees² per Hz)"


@pytest.mark.parametrize("short", [1, 4, 7])
def test_videos_too_short_for_a_spectrum_are_left_out(short):
    cut = LABELLED[(LABELLED.video_id != "toy/swap/p0") | (LABELLED.frame < short)]
    named = [t.name for t in spectrum_figure(cut, ["yaw"]).data if t.showlegend]
    assert named == ["real: median of 3 videos", "fake"]
    with pytest.raises(UsageError, match="fit A: no video has the 8 frames"):
        plot_spectrum({"fit A": ONE[:short]}, ["yaw"])


def test_a_median_is_named_once_over_all_rows():
    fig = spectrum_figure(LABELLED, ["yaw", "jawOpen"])
    assert sum(bool(t.showlegend) for t in fig.data) == 2


@pytest.mark.parametrize("columns", [["eyeBlinkLeft"], ["jawOpen"], ["eyeBlinkLeft", "jawOpen"]])
@pytest.mark.parametrize("start", [0, 100])
def test_events_are_shaded_where_they_are(columns, start):
    table = ONE[["video_id", "frame", "time", *columns]].assign(time=ONE.time + start)
    t = Trajectory(table)
    expected = [t.blinks()] if "eyeBlinkLeft" in columns else []
    expected += [t.mouth_events()] if "jawOpen" in columns else []
    assert all(len(e) for e in expected)
    still = plot_events(table)
    for ax, e in zip(still.axes, expected):
        spans = sorted((p.get_x(), p.get_x() + p.get_width()) for p in ax.patches)
        np.testing.assert_allclose(spans, e[["start", "end"]])
    touch = events_figure(t)
    spans = sorted((s.x0, s.x1) for s in touch.layout.shapes)
    np.testing.assert_allclose(
        spans, sorted(pd.concat(expected)[["start", "end"]].values.tolist())
    )
    assert not {t.line.color for t in touch.data} & set(COLORS.values())
    if "eyeBlinkLeft" in columns:
        assert still.axes[0].texts[0].get_text() == "1 blink"


def test_only_what_is_sure_gets_a_dot():
    texts = [t.get_text() for t in plot_correlation(CORRELATIONS).axes[0].texts]
    assert [t for t in texts if "●" in t] == ["0.90\n●"]
    heat = correlation_figure(CORRELATIONS).data[0]
    assert np.array(heat.text).tolist() == [["●", ""], ["", ""]]
    assert list(heat.x) == ["jawOpen", "exp_00"] and list(heat.y) == ["yaw", "pitch"]


@pytest.mark.parametrize(
    "most, shown", [(1, ["down"]), (2, ["down", "up"]), (9, ["down", "unsure", "up"])]
)
def test_the_strongest_effects_stand_in_order(most, shown):
    fig = plot_effects(EFFECTS, most)
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == shown
    assert f"{len(shown)} of 4 features" in fig.axes[0].get_title(loc="left")
    touch = effects_figure(EFFECTS, most)
    assert list(touch.layout.yaxis.categoryarray) == shown
    assert sorted(y for t in touch.data for y in t.y) == sorted(shown)


def test_the_colour_says_who_is_higher_and_filling_what_is_sure():
    real, fake = effects_figure(EFFECTS).data
    assert list(real.marker.color) == [COLORS["real"]] and list(real.y) == ["down"]
    assert list(fake.marker.color) == ["white", COLORS["fake"]]
    faces = [
        a.get_markerfacecolor()
        for a in plot_effects(EFFECTS).axes[0].lines
        if a.get_marker() == "o"
    ]
    assert faces == [COLORS["real"], "white", COLORS["fake"]]


@pytest.mark.parametrize("features", [None, ["a"], ["b", "a"]])
def test_pairs_are_counted_and_averaged(features):
    fig, names = pairs_figure(RATIOS, features), features or ["a", "b"]
    assert list(fig.layout.yaxis.ticktext) == names
    said = dict(a=("3 of 4 lower", 0.4**0.25), b=("0 of 3 lower", 4.0))
    assert [a.text for a in fig.layout.annotations] == [said[n][0] for n in names]
    np.testing.assert_allclose([s.x0 for s in fig.layout.shapes[:-1]], [said[n][1] for n in names])
    still = [t.get_text() for t in plot_pairs(RATIOS, features).axes[0].texts]
    assert still == [said[n][0] for n in names]


NAMES = ["$x^$", "<b>bold</b>", "_hidden", "%{y}", "a$b$c"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_written_as_they_are(name):
    effects, ratios = EFFECTS.replace("up", name), RATIOS.replace("a", name)
    for fig in (
        plot_effects(effects, title=name),
        plot_pairs(ratios, title=name),
        plot_spectrum({name: ONE}, ["yaw"], title=name),
        plot_events(ONE, title=name),
    ):
        assert pixels(fig) > 0
    assert len(plot_spectrum({name: ONE}, ["yaw"]).axes[0].get_legend().get_texts()) == 1
    for fig in (
        effects_figure(effects),
        pairs_figure(ratios),
        spectrum_figure({name: ONE}, ["yaw"]),
    ):
        assert "<b>bold" not in fig.to_json().replace("<b>Fake", "")


WRONG = {
    "text": ("x.parquet", "needed, not str"),
    "nothing": (None, "needed, not NoneType"),
    "another table": (ONE.drop(columns=["frame", "time"]), "no column"),
}


@pytest.mark.parametrize("given, said", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize(
    "draw",
    [
        plot_effects,
        effects_figure,
        plot_pairs,
        pairs_figure,
        plot_correlation,
        correlation_figure,
        plot_events,
        events_figure,
    ],
)
def test_another_table_gives_a_sentence(draw, given, said):
    with pytest.raises(UsageError, match=said):
        draw(given)


NOTHING = {
    "no effect": (plot_effects, EFFECTS.assign(effect=np.nan), "no effect"),
    "no ratio": (plot_pairs, RATIOS.assign(ratio=np.nan), "no ratio"),
    "several videos": (plot_events, LABELLED, "6 videos"),
    "no signal": (plot_events, ONE[["frame", "time", "yaw"]], "neither eyeBlinkLeft"),
}


@pytest.mark.parametrize("draw, table, said", NOTHING.values(), ids=NOTHING)
def test_nothing_to_draw_is_said(draw, table, said):
    with pytest.raises(UsageError, match=said):
        draw(table)
