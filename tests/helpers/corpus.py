"""A small corpus of every outcome, made of the synthetic person of the sample clip."""

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.videos import face_frames
from threedad.corpora import scan_folder, video_table
from threedad.video import write_video


def make_corpus(folder: Path, usable: int = 6) -> pd.DataFrame:
    """Usable videos and four that are not: no face, too short, a letter, a lost file.

    Args:
        folder: where they are written, in `real` and `fake`.
        usable: how many can be used, half of them fake.

    Returns:
        their table.
    """
    frames = face_frames(24)
    for i in range(usable):
        kind = 'fake' if i % 2 else 'real'
        write_video(folder / kind / f'v{i}.mp4', frames[i : i + 16], fps=25)
    write_video(folder / 'real' / 'grey.mp4', [np.full_like(frames[0], 90)] * 6, fps=25)
    write_video(folder / 'real' / 'short.mp4', frames[:2], fps=25)
    (folder / 'fake' / 'letter.mp4').write_text('Dear Sir or Madam,')
    lost = dict(path=str(folder / 'lost.mp4'), video_id='test/lost', label=1)
    found = scan_folder(folder, corpus='test')
    return video_table(pd.concat([found, pd.DataFrame([lost])], ignore_index=True))
