"""Trajectories in parts, on disk, smoothed and resampled."""

import warnings

import numpy as np
import pandas as pd
import pytest

from helpers.heads import head_track
from helpers.trajectories import made, talking
from threedad.core import FileError, UsageError
from threedad.fit import fit
from threedad.trajectory import Trajectory, concatenate


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


def test_one_frame_is_its_own_grid():
    r = made([0.5], frame=[12], yaw=[3.0]).resample(30).table
    assert len(r) == 1 and r.yaw[0] == 3 and r.source[0] == 12 and not r.filled[0]


def test_no_frame_cannot_be_resampled():
    with pytest.raises(UsageError, match='no frames'):
        made([]).resample()


def test_angles_are_filled_the_short_way():
    t = made([0, 0.1, 0.3, 0.4], frame=[0, 1, 3, 4], roll=[176, 178, -178, -176])
    r = t.resample(10, fill=0.25).table
    assert r.filled.sum() == 1 and abs(abs(r.roll[r.filled].iloc[0]) - 180) < 1e-3


@pytest.mark.parametrize('given', [dict(yaw=[0.0]), [1, 2], 'x.parquet', np.zeros((3, 4)), None])
def test_what_is_no_table_is_told_so(given):
    with pytest.raises(UsageError, match='made of a pandas.DataFrame, not of a'):
        Trajectory(given)


@pytest.mark.parametrize('name', ['<b>x</b>', '"><script>alert(1)</script>', 'a & b'])
def test_what_a_page_shows_is_escaped(name):
    page = talking(video_id=name)._repr_html_()
    assert name not in page and page.count('<table>') == 1 and '120' in page


@pytest.fixture
def whole():
    g, t = np.random.default_rng(0), talking()
    residuals = g.random((120, 478)).astype(np.float32)
    residuals[:, :7] = np.nan
    errors = pd.DataFrame(g.random((120, 3)).astype(np.float32), columns=['yaw', 'tx', 'jawOpen'])
    return Trajectory(t.table, errors, residuals, g.random((120, 40)).astype(np.float32))


def same(a, b):
    pd.testing.assert_frame_equal(a.table, b.table)
    assert (a.errors is None) == (b.errors is None)
    if a.errors is not None:
        pd.testing.assert_frame_equal(a.errors, b.errors)
    for name in ('residuals', 'free_identity'):
        x, y = getattr(a, name), getattr(b, name)
        assert x is y is None or (x.dtype == y.dtype and np.array_equal(x, y, equal_nan=True))


@pytest.mark.parametrize('rows', [slice(None), slice(0, 0), [5, 3], 7, np.arange(120) % 2 == 0])
def test_what_is_saved_is_loaded(rows, whole, tmp_path):
    part = whole[rows]
    same(Trajectory.load(part.save(tmp_path / 'part.parquet')), part)
    bare = Trajectory(part.table)
    same(Trajectory.load(bare.save(tmp_path / 'bare.parquet')), bare)


def test_extra_columns_and_gaps_survive_the_disk(whole, tmp_path):
    t = whole[np.r_[0:30, 60:90]].resample(30)
    assert t.table.yaw.isna().any() and 'filled' in t.table
    same(Trajectory.load(t.save(tmp_path / 'x.parquet')), t)


@pytest.mark.parametrize('damage', ['empty', 'cut', 'text', 'other table', 'missing', 'folder'])
def test_what_is_no_trajectory_names_the_file(damage, whole, tmp_path):
    path = tmp_path / 'x.parquet'
    if damage == 'other table':
        pd.DataFrame(dict(a=[1])).to_parquet(path)
    elif damage == 'folder':
        path.mkdir()
    elif damage != 'missing':
        data = whole.save(path).read_bytes()
        path.write_bytes({'empty': b'', 'cut': data[:-100], 'text': b'frame,time\n'}[damage])
    with pytest.raises(FileError, match='x.parquet'):
        Trajectory.load(path)


def test_a_name_that_is_no_parquet_is_refused(whole, tmp_path):
    with pytest.raises(FileError, match='parquet'):
        whole.save(tmp_path / 'x.csv')


@pytest.mark.parametrize('rows', ['yaw', 120, [0, 500], 1.5, np.ones(7, bool)])
def test_rows_that_do_not_exist_are_named(rows, whole):
    with pytest.raises(UsageError, match='rows are numbers under 120'):
        whole[rows]


def test_a_part_has_arrays_of_its_own(whole):
    part = whole[:]
    part.residuals[:] = 0
    part.table.loc[0, 'yaw'] = 99
    assert np.isnan(whole.residuals[0, 0]) and whole.table.yaw[0] != 99


@pytest.mark.parametrize(
    'by, start, stop, rows',
    [
        ('time', 1, 2, range(30, 60)),
        ('time', None, 0.1, range(3)),
        ('frame', 100, None, range(100, 120)),
        ('frame', 500, 600, []),
    ],
)
def test_a_stretch_is_half_open(by, start, stop, rows, whole):
    assert whole.between(start, stop, by).table.frame.tolist() == list(rows)


@pytest.mark.parametrize('cuts', [[60], [1, 119], [0], [30, 30, 90]])
def test_pieces_make_the_whole(cuts, whole):
    edges = [0, *cuts, 120]
    same(concatenate(whole[a:b] for a, b in zip(edges, edges[1:])), whole)


def test_what_one_piece_lacks_is_left_out_and_frames_come_once(whole):
    mixed = concatenate([whole[:60], Trajectory(whole.table[60:])])
    assert mixed.errors is None and mixed.residuals is None and len(mixed) == 120
    for wrong in ([whole, whole], [], [whole.table]):
        with pytest.raises(UsageError):
            concatenate(wrong)


@pytest.mark.parametrize('change', ['smooth', 'resample'])
def test_errors_residuals_and_identities_stay(change, whole):
    out = getattr(whole, change)()
    same(Trajectory(whole.table, out.errors, out.residuals, out.free_identity), whole)


def test_gaps_of_a_grid_have_no_errors(whole):
    gappy = whole[np.r_[0:30, 33:60]]
    out = gappy.resample(30, fill=0.2)
    filled = out.table.filled.to_numpy()
    assert filled.sum() == 3 and np.isnan(out.residuals[filled]).all()
    between = np.interp(31, [29, 33], whole.errors.yaw[[29, 33]])
    assert out.errors.yaw[31] == pytest.approx(between, rel=1e-5)
    same(
        out[~filled],
        Trajectory(
            out.table[~filled].reset_index(drop=True),
            gappy.errors,
            gappy.residuals,
            gappy.free_identity,
        ),
    )


@pytest.mark.parametrize('lacking', ['frame', 'time'])
def test_tables_without_frame_or_time_are_told_so(lacking, whole):
    part = Trajectory(whole.table.drop(columns=lacking))
    for ask in (lambda: concatenate([part, part]), lambda: part.between(0, 1)):
        with pytest.raises(UsageError, match=f'no column {lacking}'):
            ask()


def test_what_a_file_cannot_hold_is_named(whole, tmp_path):
    odd = Trajectory(whole.table.assign(note=[{1}, 'a', 3.5] * 40))
    with pytest.raises(UsageError, match='cannot be kept in a file'):
        odd.save(tmp_path / 'x.parquet')
    assert not list(tmp_path.iterdir())


def test_errors_stand_beside_the_table():
    found = fit(head_track(frames=4))
    both = found.with_errors()
    assert len(both.columns) == len(found.table.columns) + len(found.errors.columns)
    np.testing.assert_array_equal(both.yaw_error, found.errors.yaw)
    assert Trajectory(found.table).with_errors() is found.table
