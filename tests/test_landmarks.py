"""The tracker against mediapipe itself, on a frame that this project rendered.

golden/mediapipe.npz holds what FaceLandmarker says in image mode of golden/face.png.
"""

from pathlib import Path

import cv2
import numpy as np

from threedad.faces import FaceTracker

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
