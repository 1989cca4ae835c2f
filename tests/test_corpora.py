"""Folders and manifests as people have them: links, hidden things, odd names, odd tables."""

import json
import os

import pandas as pd
import pytest

from threedad.core import StoreError, ThreedadError, UsageError
from threedad.corpora import VIDEO_SUFFIXES, label_of, scan_folder, video_table


def touch(*paths):
    for p in paths:
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_bytes(b'video')


def names(table):
    return sorted(os.path.basename(p) for p in table.path)


@pytest.mark.parametrize('target', ['file', 'folder', 'chain'])
def test_links_are_followed(tmp_path, target):
    touch(tmp_path / 'disk' / 'b.mp4', tmp_path / 'set' / 'real' / 'a.mp4')
    fake = tmp_path / 'set' / 'fake'
    if target == 'file':
        fake.mkdir()
        (fake / 'b.mp4').symlink_to(tmp_path / 'disk' / 'b.mp4')
    elif target == 'folder':
        fake.symlink_to(tmp_path / 'disk')
    else:
        (tmp_path / 'link').symlink_to(tmp_path / 'disk')
        fake.symlink_to(tmp_path / 'link')
    t = scan_folder(tmp_path / 'set')
    assert names(t) == ['a.mp4', 'b.mp4'] and sorted(t.label) == [0, 1]


@pytest.mark.parametrize('circle', ['.', '..', 'real'])
def test_circles_end(tmp_path, circle):
    touch(tmp_path / 'set' / 'real' / 'a.mp4', tmp_path / 'set' / 'fake' / 'b.mp4')
    (tmp_path / 'set' / 'real' / 'again').symlink_to(tmp_path / 'set' / circle)
    with pytest.warns(UserWarning, match='second time'):
        t = scan_folder(tmp_path / 'set')
    assert names(t) == ['a.mp4', 'b.mp4']


@pytest.mark.parametrize('hidden', ['.git/c.mp4', '.cache/deep/c.mp4', '.c.mp4'])
def test_hidden_things_are_not_entered_and_said(tmp_path, hidden):
    touch(tmp_path / 'real' / 'a.mp4', tmp_path / 'real' / hidden)
    with pytest.warns(UserWarning, match='skipped hidden'):
        assert names(scan_folder(tmp_path)) == ['a.mp4']


@pytest.mark.parametrize('suffix', sorted(VIDEO_SUFFIXES))
def test_every_suffix_is_scanned(tmp_path, suffix):
    touch(tmp_path / f'a{suffix}', tmp_path / f'B{suffix.upper()}')
    assert len(scan_folder(tmp_path)) == 2


@pytest.mark.parametrize('pair', [('x.mp4', 'x.mov'), ('x.mp4', 'x.MP4'), ('x.avi', 'x.mkv')])
def test_two_files_of_one_stem_are_two_videos(tmp_path, pair):
    touch(*(tmp_path / 'real' / n for n in pair))
    t = scan_folder(tmp_path)
    assert len(t) == 2 and t.video_id.is_unique


@pytest.mark.parametrize(
    'name', [b'a\xff\xfe.mp4', b'line\nbreak.mp4', 'ünïcode \u202e.mp4'.encode()]
)
def test_odd_names_cost_nothing(tmp_path, name):
    touch(tmp_path / 'real' / 'a.mp4')
    with open(os.fsencode(tmp_path / 'real') + b'/' + name, 'wb') as f:
        f.write(b'video')
    t = scan_folder(tmp_path)
    assert len(t) == 2 and t.video_id.is_unique
    t.to_parquet(tmp_path / 'table.parquet')
    assert all('\n' not in i and i.isprintable() for i in t.video_id)


@pytest.mark.parametrize('empty', ['real', 'fake', 'original'])
def test_an_empty_class_is_an_error(tmp_path, empty):
    touch(tmp_path / ('fake' if empty != 'fake' else 'real') / 'a.mp4')
    (tmp_path / empty).mkdir(exist_ok=True)
    with pytest.raises(StoreError, match=f'{empty}: a class without videos'):
        scan_folder(tmp_path)


@pytest.mark.parametrize(
    'value, label',
    [(0, 0), (1.0, 1), ('REAL', 0), (' fake ', 1), ('True', 1), (False, 0), ('0', 0), ('1.0', 1)],
)
def test_labels_are_read(value, label):
    assert label_of(value) == label


@pytest.mark.parametrize('value', [2, 'maybe', None, float('nan'), '', -1])
def test_what_is_no_label_names_file_and_row(tmp_path, value):
    touch(tmp_path / 'a.mp4', tmp_path / 'b.mp4')
    rows = [dict(path='a.mp4', label=0), dict(path='b.mp4', label=value)]
    pd.DataFrame(rows).to_csv(tmp_path / 'manifest.csv', index=False)
    with pytest.raises(StoreError, match='manifest.csv: row 2'):
        scan_folder(tmp_path)


MANIFESTS = {
    'empty': b'',
    'header only': b'path,label\n',
    'no label': b'path\na.mp4\n',
    'no path': b'path,label\na.mp4,1\n,0\n',
    'ragged': b'path,label\na.mp4,1\na.mp4,0,x\n',
    'latin-1': 'path,label\nä.mp4,1\n'.encode('latin-1'),
    'binary': bytes(range(256)),
    'twice': b'path,label\na.mp4,1\n./a.mp4,0\n',
    'two of a name': b'path,label,label\na.mp4,1,0\n',
}


@pytest.mark.parametrize('kind', MANIFESTS)
def test_an_unclear_manifest_is_one_line(tmp_path, kind):
    touch(tmp_path / 'a.mp4')
    (tmp_path / 'manifest.csv').write_bytes(MANIFESTS[kind])
    with pytest.raises(ThreedadError) as e:
        scan_folder(tmp_path)
    assert 'manifest.csv' in str(e.value) and '\n' not in str(e.value)


@pytest.mark.parametrize('form', ['utf-8', 'utf-8-sig', 'utf-16', 'semicolons', 'parquet', 'json'])
def test_manifests_are_read_in_many_forms(tmp_path, form):
    touch(tmp_path / 'ä.mp4', tmp_path / 'b.mp4')
    rows = [dict(path='ä.mp4', label='FAKE'), dict(path='b.mp4', label='real')]
    text = 'path,label\n' + ''.join(f'{r["path"]},{r["label"]}\n' for r in rows)
    if form == 'parquet':
        pd.DataFrame(rows).to_parquet(tmp_path / 'manifest.parquet')
    elif form == 'json':
        (tmp_path / 'manifest.json').write_text(json.dumps(rows))
    elif form == 'semicolons':
        (tmp_path / 'manifest.csv').write_text(text.replace(',', ';'), encoding='utf-8')
    else:
        (tmp_path / 'manifest.csv').write_text(text, encoding=form)
    assert scan_folder(tmp_path).label.tolist() == [1, 0]


def test_a_folder_called_manifest_is_named(tmp_path):
    touch(tmp_path / 'a.mp4', tmp_path / 'manifest.csv' / 'x.txt')
    with pytest.raises(StoreError, match='manifest.csv: a folder'):
        scan_folder(tmp_path)


@pytest.mark.parametrize('thing', [None, 'a.mp4', ['a.mp4'], pd.DataFrame({'file': ['a.mp4']})])
def test_what_is_no_table_gets_a_sentence(thing):
    with pytest.raises(UsageError, match='path'):
        video_table(thing)
