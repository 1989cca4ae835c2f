"""Files of weights from anywhere are looked at before they are believed."""

import os
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from helpers.checkpoints import (
    WRAPPINGS,
    little_memory,
    memory_kept_flat,
    pickles,
    raw_safetensors,
    repacked,
)
from threedad.core import CheckpointError, UsageError
from threedad.weights import (
    MOST_WEIGHTS,
    check_fit,
    check_size,
    fill_network,
    load_torch,
    read_description,
    read_header,
    read_tensors,
    start_convolutions,
    unwrap_state,
    weights_path,
)


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def refused(function, *args):
    """The one line with which something is refused, little memory being there."""
    with little_memory(), pytest.raises(CheckpointError) as e:
        function(*args)
    assert "\n" not in str(e.value) and len(str(e.value)) < 400
    return str(e.value)


@pytest.mark.parametrize("name", WRAPPINGS)
def test_wrappings_come_off(tmp_path, name):
    torch.manual_seed(0)
    want = net()
    torch.save(WRAPPINGS[name](want.state_dict()), tmp_path / "x.pth")
    state = unwrap_state(load_torch(tmp_path / "x.pth"), tmp_path / "x.pth")
    got = fill_network(net(), state, "x.pth").state_dict()
    for k, v in want.state_dict().items():
        assert torch.allclose(got[k], v, atol=1e-2 if name == "half" else 0), k


@pytest.mark.parametrize("name", ["archive", "old", "bare", "hidden"])
def test_pickles_are_not_run(tmp_path, name):
    trace = tmp_path / "ran"
    said = refused(load_torch, pickles(tmp_path / "files", trace)[name])
    assert "safely" in said and not trace.exists()


def bomb(path):
    """An archive of zeros, a thousandth of its size on disk."""
    torch.save(dict(weight=torch.zeros(4)), path.with_suffix(".small"))
    with zipfile.ZipFile(path.with_suffix(".small")) as z, zipfile.ZipFile(path, "w") as new:
        for i in z.infolist():
            data = bytes(2**24) if "/data/" in i.filename else z.read(i)
            new.writestr(i.filename, data, zipfile.ZIP_DEFLATED)
    return path


def short(path):
    """An archive whose storage holds less than its tensor."""
    torch.save(dict(weight=torch.zeros(1000)), path.with_suffix(".whole"))
    cut = repacked(path.with_suffix(".whole"), path, lambda n, d: d[:8] if "/data/" in n else d)
    return cut


def huge(path):
    """An archive whose tensor claims sixteen terabytes."""
    torch.save(dict(weight=torch.zeros(5)), path.with_suffix(".whole"))
    big = (2**42).to_bytes(6, "little")

    def change(name, data):
        return data.replace(b"K\x05", b"\x8a\x06" + big) if name.endswith(".pkl") else data

    return repacked(path.with_suffix(".whole"), path, change)


def truncated(path):
    torch.save(dict(weight=torch.zeros(1000)), path)
    path.write_bytes(path.read_bytes()[:1500])
    return path


def empty(path):
    path.write_bytes(b"")
    return path


def text(path):
    path.write_text("<!DOCTYPE html><title>404: not found</title>")
    return path


@pytest.mark.parametrize(
    "make", [bomb, short, huge, truncated, empty, text], ids=lambda f: f.__name__
)
def test_torch_files_that_lie(tmp_path, make):
    refused(load_torch, make(tmp_path / "x.pth"))


@pytest.mark.parametrize(
    "content, cause",
    [
        ([torch.zeros(2)], "no state dict"),
        ({}, "no state dict"),
        ({"state_dict": {}}, "no state dict"),
        ({"a": 3}, "no plain tensor"),
        ({3: torch.zeros(2)}, "no plain tensor"),
        ({"a": torch.zeros(2).to_sparse()}, "no plain tensor"),
        ({"a": torch.zeros(2, device="meta")}, "no plain tensor"),
        ({"a": torch.zeros(2), "module.a": torch.ones(2)}, "twice"),
    ],
    ids=str,
)
def test_no_state_dict(content, cause):
    assert cause in refused(unwrap_state, content, "x.pth")


LIES = dict(
    header_beyond_the_file=dict(tensors={}, length=2**60),
    header_cut=dict(tensors={"a": ("F32", [2], [0, 8])}, data=bytes(8), length=9),
    shape_beyond_the_data=dict(tensors={"a": ("F32", [2**40], [0, 8])}, data=bytes(8)),
    data_beyond_the_file=dict(tensors={"a": ("F32", [2**40], [0, 2**42])}, data=bytes(8)),
    product_that_overflows=dict(tensors={"a": ("F32", [2**33, 2**33], [0, 0])}),
    negative_shape=dict(tensors={"a": ("F32", [-2], [0, 8])}, data=bytes(8)),
    overlapping=dict(
        tensors={"a": ("F32", [2], [0, 8]), "b": ("F32", [2], [4, 12])}, data=bytes(12)
    ),
    unknown_type=dict(tensors={"a": ("F8_E4M3", [8], [0, 8])}, data=bytes(8)),
)


@pytest.mark.parametrize("name", LIES)
def test_headers_that_lie(tmp_path, name):
    path = raw_safetensors(tmp_path / "x.safetensors", **LIES[name])
    assert "not a safetensors file" in refused(read_header, path)


def test_a_header_takes_no_memory(tmp_path):
    """Three gigabytes, declared and (sparsely) there, are described and not read."""
    path = raw_safetensors(tmp_path / "x.safetensors", {"a": ("F32", [3 * 2**28], [0, 3 * 2**30])})
    os.truncate(path, path.stat().st_size + 3 * 2**30)
    with memory_kept_flat():
        header = read_header(path)
    assert header.tensors["a"].is_meta and header.tensors["a"].numel() == 3 * 2**28


@pytest.mark.parametrize("text", ["{", "[1]", "3", "null", "[" * 100_000, "1" * 10_000])
def test_descriptions_that_are_none(tmp_path, text):
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors", metadata=dict(info=text))
    header = read_header(tmp_path / "x.safetensors")
    assert read_description(header, "other", "x") is None
    assert "description" in refused(read_description, header, "info", "x")


WRONG = {
    "missing": lambda s: {k: v for k, v in s.items() if k != "0.bias"},
    "extra": lambda s: s | {"x" * 500: torch.zeros(1)},
    "another shape": lambda s: s | {"0.bias": torch.zeros(5)},
    "another rank": lambda s: s | {"0.bias": torch.zeros(1, 4)},
    "float64": lambda s: s | {"0.bias": torch.zeros(4, dtype=torch.float64)},
    "whole numbers": lambda s: s | {"0.bias": torch.zeros(4, dtype=torch.int64)},
    "complex": lambda s: s | {"0.bias": torch.zeros(4, dtype=torch.complex64)},
    "a counter in floats": lambda s: s | {"1.num_batches_tracked": torch.tensor(0.5)},
    "stretched": lambda s: s | {"0.weight": torch.zeros(1).expand(2**20, 2**20)},
    "not a number": lambda s: s | {"0.bias": torch.full((4,), float("nan"))},
    "infinite": lambda s: s | {"1.running_var": torch.full((4,), float("inf"))},
}


@pytest.mark.parametrize("name", WRONG)
def test_weights_that_do_not_fit(name):
    target = net()
    before = {k: v.clone() for k, v in target.state_dict().items()}
    refused(fill_network, target, WRONG[name](before), "x.pth")
    for k, v in target.state_dict().items():
        assert torch.equal(v, before[k]), "a refused file changed the network"


@pytest.mark.parametrize("side", [40_000, 2**20, 2**30])
def test_networks_that_fill_the_memory(side):
    with torch.device("meta"):
        large = nn.Linear(side, side, bias=False)
    assert side**2 > MOST_WEIGHTS and "billion" in refused(check_size, large, "x.pth")


def test_a_network_without_memory_gets_it_when_all_fits():
    with torch.device("meta"):
        empty = net()
    want = net().state_dict()
    check_fit(empty.state_dict(), want, "x.pth")
    got = fill_network(empty, want, "x.pth").state_dict()
    assert all(torch.equal(got[k], v) for k, v in want.items())


def test_tensors_come_back(tmp_path):
    want = net().state_dict()
    save_file(want, tmp_path / "x.safetensors")
    got = read_tensors(tmp_path / "x.safetensors")
    assert got.keys() == want.keys() and all(torch.equal(got[k], v) for k, v in want.items())


@pytest.mark.parametrize("what", ["missing", "folder", "pipe"])
def test_no_file(tmp_path, what):
    path = tmp_path / "x.pth"
    dict(missing=lambda: 0, folder=path.mkdir, pipe=lambda: os.mkfifo(path))[what]()
    for function in (weights_path, load_torch, read_header, read_tensors):
        assert "x.pth" in refused(function, path)


@pytest.mark.parametrize("path", [None, 3, b"x.pth", {"weight": 1}], ids=repr)
def test_no_path(path):
    with pytest.raises(UsageError, match="expected the path"):
        weights_path(path)


@pytest.mark.parametrize("mode, fan", [("fan_out", 64 * 9), ("fan_in", 16 * 9)])
def test_convolutions_start_at_the_size_of_he(mode, fan):
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 64, 3)
    start_convolutions(nn.Sequential(conv, nn.Linear(3, 3)), mode)
    assert conv.weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.05)
