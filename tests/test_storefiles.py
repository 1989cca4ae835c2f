"""What lies in a store, whose it is, and who may write to it."""

import pytest

from threedad.storefiles import crops_file, file_stem, leftovers, row_file

IDS = ['plain', 'a/b/c', 'x' * 300, 'ünïcode', 'a b\tc', '../../etc/passwd', 'CON', '.hidden']


@pytest.mark.parametrize('video_id', IDS)
def test_a_file_stays_in_its_folder(tmp_path, video_id):
    for file in (crops_file(tmp_path, video_id), row_file(tmp_path, video_id)):
        assert file.parent.parent == tmp_path and len(file.name) < 128
        assert not file.name.startswith('.')


def test_ids_that_look_alike_get_files_of_their_own():
    assert len({file_stem(i) for i in [*IDS, 'a_b_c', 'a/b_c', 'A/B/C']}) == len(IDS) + 3


@pytest.mark.parametrize('foreign', ['.env', 'crops/mine.parquet', 'rows/.mine', 'sub/.secret'])
def test_foreign_files_are_no_leftovers(tmp_path, foreign):
    (tmp_path / foreign).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / foreign).write_text('mine')
    assert tmp_path / foreign not in leftovers(tmp_path, ['a', 'b'])
