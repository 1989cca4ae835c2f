"""The tracker against mediapipe itself, on a frame that this project rendered.

golden/mediapipe.npz holds what FaceLandmarker says in image mode of golden/face.png.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest

from threedad.core import UsageError
from threedad.faces import FaceTracker
from threedad.landmarks import BLENDSHAPES, BLENDSHAPE_POINTS, ExpressionScorer
from threedad.motion import BLENDSHAPE_COLUMNS

GOLDEN = Path(__file__).parent / "golden"


def test_landmarks_agree_with_mediapipe():
    image = cv2.cvtColor(cv2.imread(str(GOLDEN / "face.png")), cv2.COLOR_BGR2RGB)
    want = np.load(GOLDEN / "mediapipe.npz", allow_pickle=False)["points"]
    tracker = FaceTracker()
    for _ in range(2):  # the second look starts from the first one's points, as in a video
        (face,) = tracker(image)
    eyes = np.linalg.norm(want[33, :2] - want[263, :2])
    apart = np.linalg.norm(face.points[:, :2] - want[:, :2], axis=1) / eyes
    assert apart.mean() < 0.012 and np.percentile(apart, 99) < 0.04, (
        f"mean {apart.mean():.4f}, worst {apart.max():.4f} of the eye distance"
    )


@pytest.fixture(scope='module')
def face():
    with np.load(GOLDEN / 'mediapipe.npz', allow_pickle=False) as z:
        return z['points'][None].astype(np.float32)


@pytest.mark.parametrize('scale', [0.1, 1, 5])
@pytest.mark.parametrize('shift', [(0, 0), (2000, -300)])
def test_scores_do_not_depend_on_place_and_size(scale, shift, face):
    moved = face[..., :2] * scale + shift
    scores = ExpressionScorer()(moved)
    np.testing.assert_allclose(scores, ExpressionScorer()(face), atol=2e-3)
    assert scores.shape == (1, 52) and 0 <= scores.min() and scores.max() <= 1


def test_closed_lids_score_as_a_blink(face):
    shut = face.copy()
    upper, lower = [159, 158, 160, 161, 157], [145, 153, 144, 163, 154]
    shut[:, upper] = shut[:, lower]
    blink = BLENDSHAPES.index('eyeBlinkRight')  # point 33 is at the person's right eye
    open_eye, closed = (ExpressionScorer()(p)[0, blink] for p in (face, shut))
    assert closed > open_eye + 0.2


def test_frames_without_points_have_no_scores(face):
    some = np.repeat(face, 3, 0)
    some[1, BLENDSHAPE_POINTS[5]] = np.nan
    scores = ExpressionScorer()(some)
    assert np.isnan(scores[1]).all() and (scores[0] == scores[2]).all()
    assert ExpressionScorer()(face[:0]).shape == (0, 52)


@pytest.mark.parametrize('shape', [(478, 3), (2, 468, 3), (2, 478), (2, 478, 1)])
def test_what_is_not_478_points_is_refused(shape):
    with pytest.raises(UsageError, match='points are T x 478'):
        ExpressionScorer()(np.zeros(shape))


def test_the_columns_are_in_the_order_of_the_scores():
    assert BLENDSHAPE_COLUMNS == [f'blendshape_{name}' for name in BLENDSHAPES]
    assert len(set(BLENDSHAPES)) == 52 and len(set(BLENDSHAPE_POINTS)) == 146


@pytest.mark.parametrize('quarters', [1, 2, 3])
def test_a_face_on_its_side_has_the_scores_of_an_upright_one(quarters, face):
    turn = np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), quarters)
    lying = face.copy()
    lying[..., :2] = face[..., :2] @ turn + 500
    scorer = ExpressionScorer()
    np.testing.assert_allclose(scorer(lying), scorer(face), atol=2e-3)
