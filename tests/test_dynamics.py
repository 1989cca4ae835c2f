"""Statistics of trajectories that are short, gappy or incomplete; cohorts that cannot be compared."""

import warnings

import numpy as np
import pandas as pd
import pytest

from helpers.heads import head_track
from helpers.trajectories import made, talking
from threedad.core import UsageError
from threedad.dynamics import (
    FEATURES,
    adjust,
    compare,
    compare_pairs,
    dynamics,
    effect_sizes,
    feature_table,
    noise,
    pair_summary,
    same_performance,
)
from threedad.fit import fit
from threedad.trajectory import Trajectory


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


@pytest.mark.parametrize('n', [0, 1, 2])
def test_too_short_to_differentiate(n):
    t = made(np.arange(n) / 25, yaw=np.arange(n))
    assert (
        len(t.velocity()) == len(t.jerk()) == n
        and t.velocity().yaw.isna().all()
        and t.jerk().yaw.isna().all()
    )
    assert t.blinks().empty and t.mouth_events().empty
    pd.testing.assert_frame_equal(t.smooth().table, t.table, check_dtype=False, atol=1e-9)
    assert np.isnan(noise(t, ['yaw'])).all()
    d = dynamics(t)
    assert (
        list(d.index) == ['frames', 'seconds', 'fps', *FEATURES]
        and d.frames == n
        and np.isnan(d.yaw_speed)
    )
    with pytest.raises(UsageError, match='needs 8 frames'):
        t.spectrum()
    with pytest.raises(UsageError, match='needs 8 frames'):
        t.pose_correlation()


def test_a_column_without_values():
    t = talking()
    t.table['exp_03'] = np.nan
    assert (
        t.velocity(['exp_03']).exp_03.isna().all()
        and t.velocity(['yaw', 'exp_03']).yaw.notna().sum() == len(t) - 2
    )
    assert t.smooth(['exp_03', 'yaw']).table.exp_03.isna().all()
    d = dynamics(t, per_coefficient=True)
    assert (
        np.isnan(d.exp_03_std)
        and np.isfinite(
            d[['expression_spread', 'expression_noise', 'expression_jitter', 'exp_04_std']]
        ).all()
    )
    with pytest.raises(UsageError, match='exp_03; there are 0'):
        t.spectrum(['exp_03'])


def test_nothing_crosses_a_gap():
    t = np.arange(60) / 30
    keep = np.r_[0:20, 40:60]
    jump = made(t[keep], frame=keep, yaw=np.r_[np.zeros(20), np.full(20, 50.0)])
    assert np.nanmax(np.abs(jump.velocity().yaw)) < 1e-9 and dynamics(jump).yaw_speed < 1e-9
    assert np.abs(jump.smooth(['yaw'], seconds=0.5).table.yaw - jump.table.yaw).max() < 1e-4
    r = jump.resample(30)
    assert (
        r.table.yaw.isna().sum() == 20
        and not r.table.filled.any()
        and (r.table.source[20:40] == -1).all()
    )
    again = r.resample(30).table
    np.testing.assert_array_equal(again.yaw, r.table.yaw)
    assert np.nanmax(np.abs(r.velocity().yaw)) < 1e-9
    assert abs(jump.seconds_seen() - 40 / 30) < 1e-9


def test_a_constant_signal():
    t = made(np.arange(100) / 25, yaw=np.full(100, 7.0), scale=np.full(100, 80.0))
    d = dynamics(t)
    assert (
        d.yaw_std == d.yaw_speed == d.pose_noise == d.scale_noise == 0
        and np.isnan(d.expression_jitter)
        and d.blink_rate == 0
    )
    c = t.pose_correlation()
    assert c.r.isna().all() and c.p.isna().all()
    assert (t.spectrum().yaw < 1e-20).all()
    assert np.isnan(compare(t, t).ratio.yaw_std)


def test_more_columns_and_fewer():
    t = talking()
    more = Trajectory(t.table.assign(se_yaw=0.1, note='x'))
    pd.testing.assert_series_equal(dynamics(more), dynamics(t))
    assert {'se_yaw', 'note'} <= set(more.resample(25).table.columns)
    few = dynamics(t.table[['video_id', 'frame', 'time', 'yaw']])
    assert (
        np.isfinite(few.yaw_std)
        and np.isnan(few[['expression_noise', 'blink_rate', 'residual', 'pose_expression']]).all()
    )
    for drop in ('frame', 'time'):
        with pytest.raises(UsageError, match=f'no column {drop}'):
            dynamics(t.table.drop(columns=drop))
        with pytest.raises(UsageError, match=f'no column {drop}'):
            t.__class__(t.table.drop(columns=drop)).velocity()
    with pytest.raises(UsageError, match='no column video_id'):
        feature_table(t.table.drop(columns='video_id'))
    with pytest.raises(UsageError, match='no column eyeBlinkLeft, eyeBlinkRight'):
        Trajectory(t.table[['frame', 'time']]).blinks()
    with pytest.raises(UsageError, match='no column'):
        feature_table([])


def test_order_of_rows_does_not_matter():
    t = talking()
    pd.testing.assert_series_equal(dynamics(t.table.sample(frac=1, random_state=0)), dynamics(t))


def test_pairs_over_shared_frames_only():
    real, fake = talking(), talking(video_id='w')
    fake.table.loc[60:, 'yaw'] = 1e3
    part = Trajectory(real.table[:60])
    assert np.nanmax(np.abs(compare(part, fake).ratio - 1)) < 1e-6
    with pytest.raises(UsageError, match='share no tracked frame'):
        compare(part, Trajectory(real.table[60:]))


def test_pairs_that_cannot_be_made():
    videos = pd.DataFrame(dict(video_id=['a', 'b', 'c'], label=[0, 0, 1], group=['p', 'p', 'p+q']))
    with pytest.raises(UsageError, match='p has several real videos'):
        same_performance(videos)
    with pytest.raises(UsageError, match='no fake has its real'):
        same_performance(videos[1:].assign(group=['p', 'q+p']))
    assert same_performance(videos[1:])[['real', 'fake', 'group']].values.tolist() == [
        ['b', 'c', 'p']
    ]
    with pytest.raises(UsageError, match='no trajectory, e.g. gone'):
        compare_pairs([talking()], pd.DataFrame(dict(real=['v'], fake=['gone'])))


def test_a_summary_of_few_groups_is_never_sure():
    ratios = pd.DataFrame(dict(feature='f', ratio=[0.5, 0.5, 0.5, 0.5, 0.5], group=list('abcde')))
    s = pair_summary(ratios)
    assert s.p[0] == 2**-4 and s.lower[0] == 1
    same = pair_summary(ratios.assign(group=['a', 'a', 'a', 'b', 'b']))
    assert same.p[0] == 0.5 and same.groups[0] == 2
    with pytest.raises(UsageError, match='two groups'):
        pair_summary(ratios.assign(group='a'))


@pytest.mark.parametrize('method', ['cliff', 'hedges'])
def test_effect_sizes_against_scipy_and_formula(method):
    g = np.random.default_rng(0)
    f = pd.DataFrame(
        dict(
            x=np.r_[g.normal(0, 1, 40), g.normal(0.7, 1, 60)],
            none=np.nan,
            same=1.0,
            label=[0] * 40 + [1] * 60,
            group=[f'p{i}' for i in range(100)],
        )
    )
    e = effect_sizes(f, method=method).set_index('feature')
    a, b = f.x[:40], f.x[40:]
    pooled = np.sqrt((39 * a.var() + 59 * b.var()) / 98)
    expected = dict(
        cliff=np.sign(b.to_numpy()[:, None] - a.to_numpy()).mean(),
        hedges=(b.mean() - a.mean()) / pooled * (1 - 3 / (4 * 100 - 9)),
    )[method]
    assert abs(e.effect.x - expected) < 1e-9 and e.low.x < expected < e.high.x and e.p.x < 0.02
    from scipy.stats import mannwhitneyu, ttest_ind

    assert (
        abs(e.p.x - (mannwhitneyu(a, b).pvalue if method == 'cliff' else ttest_ind(a, b).pvalue))
        < 0.01
    )
    assert e.loc[['none', 'same'], ['effect', 'p', 'p_corrected']].isna().all().all()


def test_a_person_filmed_often_is_one_person():
    "Ten copies of each of five people who happen to differ are no evidence."
    f = pd.DataFrame(dict(x=[0.9, 1.1, 2, 2.2, 1.8], label=[0, 0, 1, 1, 1], group=list('abcde')))
    many = pd.concat([f] * 10, ignore_index=True)
    assert (
        effect_sizes(many).p[0] > 0.05 and effect_sizes(many.assign(group=range(50))).p[0] < 0.001
    )


def test_labels_are_exchanged_within_people():
    "Large differences between people hide a small one within them from the effect, not from the p-value."
    g = np.random.default_rng(1)
    level = g.normal(0, 10, 15)
    f = pd.DataFrame(
        dict(
            x=np.r_[level, level - 0.5 + g.normal(0, 0.1, 15)],
            label=[0] * 15 + [1] * 15,
            group=[f'p{i}' for i in range(15)] * 2,
        )
    )
    e = effect_sizes(f).iloc[0]
    assert abs(e.effect) < 0.2 and e.p < 0.01


def test_seeds_and_corrections():
    g = np.random.default_rng(2)
    f = pd.DataFrame(g.normal(size=(40, 4)), columns=list('abcd')).assign(
        label=[0, 1] * 20, group=np.repeat([f'p{i}' for i in range(20)], 2)
    )
    pd.testing.assert_frame_equal(effect_sizes(f, samples=200), effect_sizes(f, samples=200))
    p = effect_sizes(f, samples=200, correction='none')
    assert (p.p == p.p_corrected).all() and (
        effect_sizes(f, samples=200, correction='holm').p_corrected
        >= effect_sizes(f, samples=200).p_corrected
    ).all()
    assert np.isnan(adjust([np.nan])).all() and len(adjust([])) == 0
    with pytest.raises(UsageError, match="'bh', 'holm' or 'none'"):
        effect_sizes(f, correction='bonferoni')


@pytest.fixture(scope="module")
def fitted():
    turns = np.linspace(-9, 9, 20), np.linspace(-3, 4, 20)
    return [fit(head_track(*turns, frames=20, seed=seed)) for seed in (1, 2)]


def test_strain_is_measured_against_movement(fitted):
    rows = pd.DataFrame([dynamics(t) for t in fitted])
    np.testing.assert_array_less(0, rows.strain_ratio)
    harder = [t.table.assign(identity_strain=2 * t.table.identity_strain) for t in fitted]
    more = pd.DataFrame([dynamics(t) for t in harder])
    np.testing.assert_allclose(more.strain_ratio, 2 * rows.strain_ratio, rtol=1e-5)


@pytest.mark.parametrize("column", ["residual", "residual_actions", "identity_strain", "yaw"])
def test_without_a_measure_there_is_no_ratio(column, fitted):
    assert np.isnan(dynamics(fitted[0].table.drop(columns=column)).strain_ratio)
