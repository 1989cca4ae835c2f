"""Meshes, animation tables and other heads: written, read by others, read back."""

import numpy as np
import pandas as pd
import pytest
import trimesh

from helpers.trajectories import made, talking
from threedad.core import FileError, UsageError
from threedad.exchange import (
    ARKIT_ORDER,
    head_mesh,
    read_arkit,
    refit,
    write_live_link,
    write_meshes,
)
from threedad.morphable import MorphableModel
from threedad.motion import ACTION_COLUMNS
from threedad.trajectory import Trajectory


def acting(n=12, fps=30.0, **columns):
    g = np.random.default_rng(0)
    actions = {c: g.random(n) for c in ACTION_COLUMNS}
    time, pose = np.arange(n) / fps, dict(scale=np.full(n, 80.0), tx=100 + g.random(n))
    angles = {a: g.normal(0, 10, n) for a in ('yaw', 'pitch', 'roll')}
    return made(time, **actions | pose | angles | columns)


@pytest.mark.parametrize('fps', [23.976, 25, 30, 59.94, 1000])
@pytest.mark.parametrize('code', [60, 30, 24])
def test_a_live_link_table_comes_back(fps, code, tmp_path):
    t = acting(fps=fps)
    back = read_arkit(write_live_link(t, tmp_path / 'x.csv', fps=code), fps=code)
    np.testing.assert_allclose(back.actions, t.actions, atol=1e-6)
    np.testing.assert_allclose(back.rotation, t.rotation, atol=1e-5)
    np.testing.assert_allclose(back.table.time, t.table.time, atol=5e-5)


def test_frames_without_a_face_are_left_out_and_long_times_kept(tmp_path):
    t = acting()
    t.table['time'] += 7199.99
    t.table.loc[3:5, ACTION_COLUMNS] = np.nan
    file = write_live_link(t, tmp_path / 'x.csv')
    lines = file.read_text().splitlines()
    assert len(lines) == 1 + 9 and lines[1].startswith('01:59:59:59.400,61,')
    assert lines[2].startswith('02:00:00:01.400,61,')
    assert np.diff(read_arkit(file).table.time).max() == pytest.approx(4 / 30, abs=1e-4)


@pytest.mark.parametrize(
    'header, first',
    [
        ('timestamp,jawOpen,eyeBlink_L,eyeBlink_R', '1.5,0.25,0.5,0.75'),
        ('Timecode,BlendShapeCount,EyeBlinkRight,EyeBlinkLeft,JawOpen', '0:0:1:30,3,.75,.5,.25'),
        ('\ufeffTIME,JAWOPEN,eye blink left,eyeblinkright', '0,0.25,0.5,0.75'),
    ],
)
def test_tables_of_other_programs_are_read_by_name(header, first, tmp_path):
    (tmp_path / 'x.csv').write_text(f'{header}\n{first}\n', encoding='utf-8')
    t = read_arkit(tmp_path / 'x.csv').table
    assert t[['jawOpen', 'eyeBlinkLeft', 'eyeBlinkRight', 'time']].iloc[0].tolist() == [
        0.25,
        0.5,
        0.75,
        0,
    ]
    assert t.mouthFunnel.isna().all() and 'yaw' not in t


@pytest.mark.parametrize(
    'text, says',
    [
        ('', 'not readable'),
        ('a,b\n1,2\n', 'no column Timecode'),
        ('time,nose\n1,2\n', 'no column with a name of ARKit'),
        ('time,jawOpen\n1,2\nnoon,3\n', 'neither a time code'),
        ('time,jawOpen\n1,0.5\n2,much\n', "row 2 of column jawopen is 'much'"),
        ('time,jawOpen,JawOpen\n1,2,3\n', 'jawopen twice'),
        ('time,jawOpen\n1:2:3,2\n', 'neither a time code'),
    ],
)
def test_what_is_no_such_table_names_file_and_cause(text, says, tmp_path):
    (tmp_path / 'x.csv').write_text(text)
    with pytest.raises(FileError, match=f'x.csv.*{says}'):
        read_arkit(tmp_path / 'x.csv')


def test_bytes_and_missing_files_are_named(tmp_path):
    (tmp_path / 'x.csv').write_bytes(bytes(range(256)))
    for name in ('x.csv', 'none.csv'):
        with pytest.raises(FileError, match=name):
            read_arkit(tmp_path / name)
    with pytest.raises(UsageError, match='column'):
        write_live_link(Trajectory(talking().table.drop(columns='jawOpen')), tmp_path / 'y.csv')
    assert not (tmp_path / 'y.csv').exists() and len(set(ARKIT_ORDER)) == 52


@pytest.mark.parametrize('suffix', ['.glb', '.obj', '.ply', '.stl'])
def test_a_sequence_of_meshes_holds_the_right_frames(suffix, tmp_path):
    t = acting(frame=np.arange(100, 112))
    files = write_meshes(t, tmp_path / 'heads', [0, 5, 11], suffix, progress=False)
    assert [f.name for f in files] == [f'head_{n:06d}{suffix}' for n in (100, 105, 111)]
    for file, row in zip(files, (0, 5, 11)):
        mesh, told = trimesh.load(file, force='mesh', process=False), head_mesh(t, row)
        assert len(mesh.faces) == len(told.faces)
        np.testing.assert_allclose(mesh.triangles, told.triangles, atol=1e-6)


def test_meshes_are_in_metres_and_turn_with_the_head():
    t, model = acting(yaw=np.full(12, 40.0)), MorphableModel.load()
    still, turned = (head_mesh(t, 0, posed=p).vertices for p in (False, True))
    assert 0.15 < np.ptp(still[:, 1]) < 0.4 and not np.allclose(still, turned, atol=0.01)
    np.testing.assert_allclose(turned, still @ t.rotation[0].T, atol=1e-6)
    assert (head_mesh(t, 0).faces == model.faces).all()
    with pytest.raises(UsageError, match='suffix'):
        write_meshes(t, 'nowhere', suffix='.fbx')


@pytest.mark.parametrize('seed', range(3))
def test_the_same_head_is_found_again(seed):
    g, model = np.random.default_rng(seed), MorphableModel.load()
    person = {f'id_{i:02d}': np.full(12, v) for i, v in enumerate(g.normal(size=40))}
    t = acting(**person, **{c: np.zeros(12) for c in ACTION_COLUMNS})
    again = refit(t, model)
    assert np.corrcoef(again.identity[0], t.identity[0])[0, 1] > 0.75
    a, b = t.points(use='actions'), again.points(use='expression')
    a, b = model.landmarks(a, '68'), model.landmarks(b, '68')
    assert np.linalg.norm(a - b, axis=2)[..., :2].mean() < 0.02 * 80
    assert again.table.residual.max() < 0.02 and 'jawOpen' not in again.table


def test_a_head_without_marks_cannot_be_matched():
    from dataclasses import replace

    with pytest.raises(UsageError, match='68 landmarks'):
        refit(acting(), replace(MorphableModel.load(), landmark68_faces=None))
    assert isinstance(refit(acting(1), MorphableModel.load()).table, pd.DataFrame)


def test_rows_without_a_face_make_no_head(tmp_path):
    gappy = acting(12)[np.r_[0:4, 8:12]].resample(30)
    assert gappy.table.jawOpen.isna().sum() == 4
    files = write_meshes(gappy, tmp_path, progress=False)
    assert [f.name for f in files] == [f'head_{n:06d}.glb' for n in (0, 1, 2, 3, 8, 9, 10, 11)]
    assert len(refit(gappy, MorphableModel.load())) == 8
    with pytest.raises(UsageError, match='row 5 is without a face'):
        head_mesh(gappy, 5)
    with pytest.raises(UsageError, match='no row of the trajectory has a face'):
        refit(gappy[4:8], MorphableModel.load())
    assert write_meshes(gappy[4:8], tmp_path / 'none', progress=False) == []


@pytest.mark.parametrize('row', [12, -13, 'yaw', 1.5, slice(2)])
def test_a_row_that_does_not_exist_is_named(row):
    with pytest.raises(UsageError, match='row'):
        head_mesh(acting(12), row)
