"""Files of weights that are wrapped, damaged, hostile or lying, made by the tests themselves."""

import contextlib
import json
import pickle
import resource
import struct
import zipfile
from pathlib import Path

import torch


@contextlib.contextmanager
def little_memory(more=2**30):
    """Let this process take no more than so many further bytes of address space."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    old = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, old)


def resident(key):
    """`VmRSS` or `VmHWM` of this process in bytes: what it holds now, the most it held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


@contextlib.contextmanager
def memory_kept_flat(more=2**28):
    """Assert that no more than so many further bytes are held at any time in a block."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the most that was held before
    before = resident("VmRSS")
    yield
    assert resident("VmHWM") - before < more


def raw_safetensors(path, tensors, data=b"", length=None, metadata=None):
    """A safetensors file whose header says what it is told to: name to (type, shape, offsets)."""
    entries = {
        k: dict(dtype=d, shape=shape, data_offsets=offsets)
        for k, (d, shape, offsets) in tensors.items()
    }
    header = json.dumps(({"__metadata__": metadata} if metadata else {}) | entries).encode()
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path


def repacked(path, out, change):
    """A torch archive with its entries changed by a function of name and bytes."""
    with zipfile.ZipFile(path) as z, zipfile.ZipFile(out, "w") as new:
        for i in z.infolist():
            new.writestr(i.filename, change(i.filename, z.read(i)))
    return out


class Bomb:
    """Unpickled without care, it makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def pickles(folder, trace):
    """Files with code in them: as torch writes them, in its old format, and a bare pickle."""
    folder.mkdir(exist_ok=True)
    found = {name: folder / f"{name}.pth" for name in ("archive", "old", "bare", "hidden")}
    torch.save(Bomb(trace), found["archive"])
    torch.save(Bomb(trace), found["old"], _use_new_zipfile_serialization=False)
    found["bare"].write_bytes(pickle.dumps({"state_dict": Bomb(trace)}, protocol=2))
    torch.save(dict(weight=torch.zeros(2), extra=Bomb(trace)), found["hidden"])
    return found


WRAPPINGS = {
    "bare": dict,
    "state_dict": lambda s: {"state_dict": s, "epoch": 3},
    "model": lambda s: {"model": s, "optimizer": {}},
    "twice": lambda s: {"model": {"state_dict": s}},
    "one prefix": lambda s: {f"module.{k}": v for k, v in s.items()},
    "two prefixes": lambda s: {"state_dict": {f"module.module.{k}": v for k, v in s.items()}},
    "compiled": lambda s: {f"module._orig_mod.{k}": v for k, v in s.items()},
    "no counters": lambda s: {k: v for k, v in s.items() if "num_batches" not in k},
    "half": lambda s: {k: v.bfloat16().half() if v.ndim > 1 else v for k, v in s.items()},
}
