"""What covers a face: things of many shapes and colours, nothing, and what follows for a video."""

import cv2
import numpy as np
import pytest

from helpers.videos import face_frames
from threedad.core import UsageError, rng
from threedad.detect import detect
from threedad.facevideo import analyse
from threedad.landmarks import crop_matrices
from threedad.people import Person
from threedad.performance import Performance
from threedad.synth import Scene, render_video
from threedad.tracking import track
from threedad.video import crop, write_video
from threedad.visibility import (
    CELLS,
    COVERED,
    QUALITY_COLUMNS,
    REGIONS,
    SIDE,
    VISIBILITY_COLUMNS,
    covered_cells,
    covered_frames,
    frame_quality,
    look_at,
    sharpness,
    visible_regions,
)

LOWER = [(0, 0.55), (1, 0.6), (1, 1), (0, 1)]
LEFT = [(0.5, 0), (1, 0), (1, 1), (0.45, 1)]  # of the picture's right, the person's left
UPPER = [(0, 0), (1, 0), (1, 0.5), (0, 0.55)]
TILTED = [(0.1, 0.95), (0.55, 0.3), (0.95, 0.5), (0.6, 1)]
COLOURS = dict(
    white=(240, 238, 235), black=(12, 12, 14), blue=(90, 130, 200), skin=(196, 140, 112)
)


@pytest.fixture(scope='module')
def face(tmp_path_factory):
    path = write_video(tmp_path_factory.mktemp('v') / 'face.mp4', face_frames(12), 25)
    tracked = track(path, progress=False)
    matrices = crop_matrices(tracked.points, SIDE)
    crops = [crop(f, m, SIDE) for f, m in zip(face_frames(12), matrices)]
    places = np.einsum('nij,nkj->nki', matrices[..., :2], tracked.points[..., :2])
    return crops, matrices, tracked.points, (places + matrices[:, None, :, 2]) / SIDE


def before(image, corners, colour):
    out = image.copy()
    points = np.round(np.array(corners) * len(image)).astype(np.int32)
    cv2.fillPoly(out, [points], colour, cv2.LINE_AA)
    return out


@pytest.mark.parametrize('colour', COLOURS)
@pytest.mark.parametrize('corners', [LOWER, LEFT, UPPER, TILTED])
def test_half_a_face_covered_is_seen_and_where(corners, colour, face):
    crops, _, _, places = face
    hidden = before(crops[0], corners, COLOURS[colour])
    free, seen = visible_regions([crops[0], hidden], np.stack([places[0]] * 2))
    assert seen[0] < COVERED < free[0]
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(drawn, [np.round(np.array(corners) * SIDE).astype(np.int32)], 1)
    x, y = (places[0] * SIDE).astype(int).clip(0, SIDE - 1).T
    truth = np.array([1 - drawn[y, x][at].mean() for at in REGIONS.values()])
    assert np.corrcoef(truth, seen[1:])[0, 1] > 0.8


def test_faces_before_which_nothing_is_are_free(face):
    crops, _, _, places = face
    assert (visible_regions(crops, places)[:, 0] > COVERED).all()


@pytest.mark.parametrize('side', [48, 112, 224, 300])
def test_any_size_of_crop_will_do(side, face):
    crops, _, _, places = face
    hidden = before(crops[0], LOWER, COLOURS['white'])
    sized = cv2.resize(hidden, (side, side), interpolation=cv2.INTER_AREA)
    assert visible_regions([sized], places[:1])[0, 0] < COVERED


@pytest.mark.parametrize('batch', [1, 5, 64])
def test_batches_change_nothing(batch, face):
    cells = covered_cells(face[0], batch)
    assert cells.shape == (12, CELLS, CELLS) and 0 <= cells.min() and cells.max() <= 1
    np.testing.assert_allclose(cells, covered_cells(face[0], 12), atol=1e-5)
    assert covered_cells([]).shape == (0, CELLS, CELLS)


@pytest.mark.parametrize(
    'wrong',
    [np.zeros((1, 8, 9, 3), np.uint8), np.zeros((1, 8, 8), np.uint8), np.zeros((1, 8, 8, 3))],
)
def test_what_is_no_crop_is_refused(wrong):
    with pytest.raises(UsageError, match='crops are uint8'):
        covered_cells(wrong)


@pytest.mark.parametrize('gain, offset', [(1, 0), (0.4, 0), (0.5, 100)])
def test_sharpness_falls_with_blur_whatever_the_light(gain, offset, face):
    lit = np.uint8(face[0][0] * gain + offset)
    sharp = sharpness([cv2.GaussianBlur(lit, (0, 0), s) if s else lit for s in (0, 1, 2, 4)])
    assert (np.diff(sharp) < 0).all() and sharp[0] > 2 * sharp[-1]
    assert sharpness([np.full((112, 112, 3), 90, np.uint8)])[0] == 0


@pytest.mark.parametrize(
    'worse', [dict(visible=0.5), dict(sharp=0.2), dict(size=56), dict(yaw=60.0), dict(yaw=-120.0)]
)
def test_each_fault_alone_lowers_the_quality(worse):
    good = dict(visible=1.0, sharp=0.6, size=300, yaw=0.0)
    assert 0 <= frame_quality(**good | worse) <= 0.55 * frame_quality(**good)


def test_a_table_for_the_frames_of_a_video(face):
    crops, matrices, points, _ = face
    table = look_at(crops, matrices, points, np.zeros(12))
    assert list(table) == QUALITY_COLUMNS and len(table) == 12 and table.notna().all().all()
    assert (table.dtypes == np.float32).all() and table[VISIBILITY_COLUMNS].max().max() <= 1
    assert look_at([], np.zeros((0, 2, 3)), np.zeros((0, 478, 3)), np.zeros(0)).empty


@pytest.fixture(scope='module')
def half_covered(tmp_path_factory):
    frames = [f.copy() for f in face_frames(48)]
    for frame in frames[24:]:
        cv2.circle(frame, (125, 165), 30, COLOURS['black'], -1)
    return write_video(tmp_path_factory.mktemp('v') / 'covered.mp4', frames, 25)


def test_a_video_says_when_the_face_is_covered(half_covered):
    a = analyse(half_covered)
    assert set(QUALITY_COLUMNS) <= set(a.table) and len(a.table) == len(a.crops)
    late = a.table.frame >= 26
    assert (a.table.visible[a.table.frame < 22] > COVERED).all()
    assert (a.table.visible[late] < COVERED).mean() > 0.9
    assert (
        a.table.visible_mouth[late].median() < 0.3 < 0.7 < a.table.visible_right_eye[late].median()
    )


def test_a_verdict_warns_of_it(half_covered):
    said = [w for w in detect(half_covered, progress=False).warnings if 'covers the face' in w]
    assert len(said) == 1 and ('mouth' in said[0] or 'chin' in said[0])


def test_a_turned_face_hides_itself_and_is_not_called_covered(tmp_path):
    g, n = rng(1), 40
    cast = Person.sample(g), Performance.sample(g, n), Scene.sample(g)
    cast[1].yaw = np.radians(np.linspace(0, 75, n))
    path = write_video(tmp_path / 'turn.mp4', render_video(*cast)[0], 25)
    table = analyse(path).table
    yaw = table.yaw.abs()
    assert table.visible[yaw < 20].median() > 0.95 > table.visible[yaw > 60].median() + 0.05
    assert covered_frames(table.visible, table.yaw).mean() < 0.05
    assert not [w for w in detect(path, progress=False).warnings if 'covers the face' in w]
