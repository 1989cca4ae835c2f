"""Structure tells where a file is cut: each container, at several places."""

import numpy as np
import pytest
from helpers import videos

from threedad.cutoff import cut_off

FORMS = dict(mkv="matroska,webm", avi="avi", ts="mpegts", fragmented="mov,mp4,m4a")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return {kind: videos.container(folder / kind, kind) for kind in FORMS}


@pytest.mark.parametrize("kind", FORMS)
def test_whole_files_are_whole(kind, whole):
    assert not cut_off(whole[kind], FORMS[kind])


@pytest.mark.parametrize("kind", ["mkv", "avi", "ts"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_cut_files_are_cut(kind, share, whole, tmp_path):
    content = whole[kind].read_bytes()
    size = round(share * len(content))
    cut = tmp_path / "cut"
    cut.write_bytes(content[: size + (size % 188 == 0)])
    assert cut_off(cut, FORMS[kind])


@pytest.mark.parametrize("inside", [9, 30, 60])
def test_a_fragment_that_is_cut_is_seen(inside, whole, tmp_path):
    content = whole["fragmented"].read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(content[: content.rindex(b"moof") - 4 + inside])
    assert cut_off(cut, FORMS["fragmented"])


@pytest.mark.parametrize("form", ["avi", "mov,mp4", "matroska,webm", "mpegts", "flv"])
@pytest.mark.parametrize("size", [1, 7, 8, 9, 100, 5000])
def test_any_bytes_have_an_answer(form, size, tmp_path):
    for seed in range(5):
        path = tmp_path / "bytes"
        path.write_bytes(np.random.default_rng(seed).bytes(size))
        assert cut_off(path, form) in (True, False)
