"""Files of weights: wrapped in any way they load, hostile ones are refused before they cost."""

import json
import pickle
import resource
import struct
import sys
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from threedad.core import CheckpointError, UsageError
from threedad.weights import check_size, fill_network, load_torch, read_description, read_header
from threedad.weights import read_tensors, unwrap_state


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


STATE = network().state_dict()
WRAPPED = {
    'bare': STATE,
    'state_dict': {'state_dict': STATE, 'epoch': 3},
    'model_state_dict': {'model_state_dict': STATE, 'optimizer': {'lr': 1}},
    'two wrappers': {'model': {'state_dict': STATE}},
    'module.': {f'module.{k}': v for k, v in STATE.items()},
    'module.module.': {f'module.module.{k}': v for k, v in STATE.items()},
    'compiled': {f'_orig_mod.module.{k}': v for k, v in STATE.items()},
    'no counters': {k: v for k, v in STATE.items() if 'tracked' not in k},
    'half': {k: v.half() if v.is_floating_point() else v for k, v in STATE.items()},
}


@pytest.mark.parametrize('kind', WRAPPED)
def test_wrapped_files_load(kind, tmp_path):
    path = tmp_path / 'w.pth'
    torch.save(WRAPPED[kind], path)
    with torch.device('meta'):
        net = network()
    fill_network(net, unwrap_state(load_torch(path), path), path)
    x = torch.rand(2, 4)
    expected = network()[2](x)
    assert torch.allclose(net[2](x), expected, atol=1e-3 if kind == 'half' else 1e-7)


class Evil:
    def __reduce__(self):
        return sys.exit, (3,)


def not_finite():
    state = {k: v.clone() for k, v in STATE.items()}
    state['2.weight'][0, 0] = float('nan')
    return state


WRONG = {
    'a pickle that acts': (Evil(), 'torch can load safely'),
    'a list': ([1, 2], 'no state dict'),
    'empty': ({}, 'no state dict'),
    'text among tensors': (STATE | {'x': 'y'}, "'x' is no plain tensor"),
    'sparse': (STATE | {'2.bias': torch.zeros(2).to_sparse()}, 'no plain tensor'),
    'twice': (STATE | {'module.2.bias': torch.zeros(2)}, 'twice'),
    'one missing': ({k: v for k, v in STATE.items() if k != '2.bias'}, '1 weights are missing'),
    'one more': (STATE | {'3.bias': torch.zeros(2)}, 'no place in this network'),
    'another shape': (STATE | {'2.bias': torch.zeros(3)}, r'\(3,\), expected \(2,\)'),
    'another type': (
        STATE | {'2.bias': torch.zeros(2, dtype=torch.int64)},
        'expected torch.float',
    ),
    'not finite': (not_finite(), 'not finite'),
}


@pytest.mark.parametrize('kind', WRONG)
def test_what_does_not_fit_is_named(kind, tmp_path):
    content, cause = WRONG[kind]
    path = tmp_path / 'w.pth'
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=cause) as e:
        fill_network(network(), unwrap_state(load_torch(path), path), path)
    assert str(path) in str(e.value) and '\n' not in str(e.value)


def archive(path, method, claim=None):
    with zipfile.ZipFile(path, 'w', method) as z:
        z.writestr('w/data.pkl', pickle.dumps({}))
        z.writestr('w/data/0', bytes(10**6))


@pytest.mark.parametrize('make', [lambda p: archive(p, zipfile.ZIP_DEFLATED)])
def test_a_compressed_archive_is_refused(make, tmp_path):
    make(tmp_path / 'bomb.pth')
    with pytest.raises(CheckpointError, match='compressed'):
        load_torch(tmp_path / 'bomb.pth')


@pytest.mark.parametrize('what', ['folder', 'nothing', 'empty', 'noise', 3, None])
def test_what_is_no_file_of_weights_is_told_so(what, tmp_path):
    path = what if not isinstance(what, str) else tmp_path / what
    if what == 'folder':
        path.mkdir()
    if what in ('empty', 'noise'):
        path.write_bytes(b'' if what == 'empty' else bytes(range(256)) * 9)
    kind = CheckpointError if isinstance(what, str) else UsageError
    for read in (load_torch, read_header, read_tensors):
        with pytest.raises(kind) as e:
            read(path)
        assert '\n' not in str(e.value)


def lying(path, shape, size=8):
    """A safetensors file whose header promises a tensor that is not there."""
    header = {'x': dict(dtype='F32', shape=shape, data_offsets=[0, size])}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack('<Q', len(text)) + text + bytes(8))


@pytest.mark.parametrize('shape, size', [([10**6, 10**6], 8), ([2], 10**15), ([-1], 8), ([3], 8)])
def test_a_header_that_lies_is_refused(shape, size, tmp_path):
    lying(tmp_path / 'x.safetensors', shape, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match='damaged'):
        read_header(tmp_path / 'x.safetensors')
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize('text', ['{', '[1]', '3', '[' * 100_000, '"x"'])
def test_a_description_that_is_none_is_told_so(text, tmp_path):
    path = tmp_path / 'x.safetensors'
    save_file(dict(x=torch.zeros(2)), str(path), metadata={'about': text})
    with pytest.raises(CheckpointError, match='its description is'):
        read_description(read_header(path), 'about', path)


def test_a_network_larger_than_memory_is_refused():
    with torch.device('meta'):
        net = nn.Linear(10**5, 10**5)
    with pytest.raises(CheckpointError, match='10.0 billion'):
        check_size(net, 'x')
