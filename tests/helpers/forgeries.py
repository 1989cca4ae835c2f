"""Films of synthetic people, and what the tests of forgeries ask of them."""

import hashlib
from pathlib import Path

import numpy as np

from threedad.forge import forge
from threedad.people import Person
from threedad.performance import Performance
from threedad.synth import Scene, render_video

SAMPLE = Path(__file__).resolve().parents[2] / 'data' / 'sample' / 'talking_head.mp4'


def film(seed, n=12, size=128):
    """Frames and true trajectory of a synthetic person."""
    person, performance = Person.sample(seed), Performance.sample(100 + seed, n)
    return render_video(person, performance, Scene.sample(200 + seed), size)


def planned(kind, target, other, **settings):
    """A forgery of one film with another as source and driver."""
    return forge(kind, *target, source=other, driver=other[1], **settings)


def digest(frames):
    """A sum over all bytes of frames."""
    return hashlib.sha256(np.stack(frames).tobytes()).hexdigest()


def difference(a, b):
    """Mean absolute difference of two frames at each pixel."""
    return np.abs(a.astype(int) - b).mean(-1)


def files(folder, pattern='*.mp4'):
    """Sum of each file in a folder, by its path inside."""
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(Path(folder).rglob(pattern))
        if p.is_file()
    }
