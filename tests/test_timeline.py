"""The score of a video over time: times are those of the frames."""

import numpy as np
import pandas as pd
import pytest
from helpers import tables

from threedad.core import COLORS, UsageError
from threedad.timeline import score_figure, with_times

CLIPS = pd.DataFrame(dict(first_frame=np.arange(12) * 4, score=np.linspace(0.1, 0.9, 12)))
STEADY = CLIPS.assign(time=CLIPS.first_frame / 25)
TIMES = {
    "steady": STEADY,
    "a variable rate": CLIPS.assign(time=np.cumsum(np.linspace(0.1, 0.5, 12))),
    "a late start": CLIPS.assign(time=100 + CLIPS.first_frame / 25),
    "a slow camera": CLIPS.assign(time=CLIPS.first_frame / 2.0),
}


def dots(fig):
    """Places and scores of all clips drawn, in order."""
    parts = [pd.DataFrame(dict(x=t.x, y=t.y)) for t in fig.data if t.mode == "markers"]
    return pd.concat(parts).sort_values("x")


@pytest.mark.parametrize("clips", TIMES.values(), ids=TIMES)
def test_clips_stand_where_they_are_shown(clips):
    fig = score_figure(clips.sample(frac=1, random_state=0))
    np.testing.assert_allclose(dots(fig).x, clips.time)
    np.testing.assert_allclose(dots(fig).y, clips.score)
    assert fig.layout.xaxis.title.text == "time (s)"


def test_without_times_the_axis_says_frames():
    fig = score_figure(CLIPS)
    assert fig.layout.xaxis.title.text == "first frame of the clip"
    assert dots(fig).x.tolist() == CLIPS.first_frame.tolist()


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.9])
def test_a_clip_has_the_colour_of_what_it_is_called(threshold):
    for t in score_figure(STEADY, threshold=threshold).data[1:]:
        called = t.name.split()[-1]
        assert t.marker.color == COLORS[called]
        assert all((y >= threshold) == (called == "fake") for y in t.y)


@pytest.mark.parametrize("after, seconds", [(4, 3), (6, 60), (9, 2)])
def test_the_mean_stops_where_no_clip_is(after, seconds):
    clips = STEADY.assign(time=STEADY.time + seconds * (np.arange(12) >= after))
    line = score_figure(clips).data[0]
    assert line.x[after] is None and sum(x is None for x in line.x) == 1
    apart = score_figure(clips[:after]).data[0]
    np.testing.assert_allclose(np.float64(line.y[:after]), np.float64(apart.y))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_clips_are_drawn(count):
    fig = score_figure(STEADY[:count])
    fig.to_json()
    assert len(dots(fig)) == count


def test_times_are_those_of_the_trajectory():
    v = tables.videos()
    t = tables.trajectories(v).assign(time=lambda d: d.time * 2 + 5)
    timed = with_times(tables.predictions(people=3), t)
    assert set(timed.manipulation) == {"original", "swap"}
    np.testing.assert_allclose(timed.time, timed.first_frame / 12.5 + 5)
    again = with_times(timed.assign(time=0.0), t)
    np.testing.assert_allclose(again.time, timed.time)


@pytest.mark.parametrize("lost", [[0], [4, 8], list(range(60))[1:]])
def test_a_clip_that_begins_at_no_frame_is_named(lost):
    t = tables.trajectories(tables.videos())
    with pytest.raises(UsageError, match="clips begin where the trajectory has no frame: toy/"):
        with_times(tables.predictions(people=3), t[~t.frame.isin(lost)])


MANY = tables.predictions(people=2)
REFUSED = {
    "several videos": (MANY, None, "6 videos: say which"),
    "an unknown video": (MANY, "toy/none", "toy/none: no predictions"),
    "no scores": (MANY.drop(columns="score"), "toy/swap/p0", "no column score"),
    "no place": (MANY.drop(columns="first_frame"), "toy/swap/p0", "no column first_frame"),
    "two detectors": (MANY.assign(detector=["a", "b"] * 18), "toy/swap/p0", "2 detectors"),
    "no table": ("predictions.parquet", None, "a table .* is needed, not str"),
}


@pytest.mark.parametrize("clips, video, said", REFUSED.values(), ids=REFUSED)
def test_what_makes_no_timeline_gives_a_sentence(clips, video, said):
    with pytest.raises(UsageError, match=said):
        score_figure(clips, video)


@pytest.mark.parametrize("name", ["<b>x</b>", "caf\udce9.mp4", "two\nlines"])
def test_names_are_written_as_they_are(name):
    fig = score_figure(STEADY.assign(video_id=pd.Series([name] * 12, dtype=object)))
    fig.to_json()
    assert "<b>x" not in fig.layout.title.text and "\n" not in fig.layout.title.text
