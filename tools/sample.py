"""Make data/sample and the shipped detector from a finished `make demo`.

The sample is of a few test people, whom the detector has not seen.
"""

import json
import shutil
import sys
from pathlib import Path

from threedad.core import ASSETS, read_table, sha256_of, write_json, write_table
from threedad.corpus import Store
from threedad.detector import Detector
from threedad.storefiles import crops_file

ROOT = Path(__file__).resolve().parents[1]


def main(demo="data/demo", people=4):
    demo, sample = Path(demo), ROOT / "data/sample"
    store = Store(demo / "store")
    predictions = read_table(demo / "predictions.parquet")
    tested = store.videos[
        store.videos.video_id.isin(predictions.video_id) & (store.videos.status == "ok")
    ]
    groups = tested[tested.label == 0].group.drop_duplicates().head(people)
    real = tested[tested.group.isin(groups) & (tested.label == 0)]
    stems = tuple(v.rsplit("/", 1)[1].split("_")[0] for v in real.video_id)
    chosen = tested[
        [v.rsplit("/", 1)[1].split("_")[0] in stems for v in tested.video_id]
    ].reset_index(drop=True)
    if sample.exists():
        shutil.rmtree(sample)
    face = chosen.video_id[chosen.label == 0].iloc[0]
    sample.mkdir(parents=True)
    shutil.copy2(chosen.path[chosen.video_id == face].iloc[0], sample / "talking_head.mp4")
    chosen["path"] = [
        "../talking_head.mp4" if v == face else f"../videos/{Path(p).name}"
        for v, p in zip(chosen.video_id, chosen.path)
    ]
    write_table(chosen, sample / "store/videos.parquet")
    write_table(
        store.trajectories[store.trajectories.video_id.isin(chosen.video_id)].reset_index(
            drop=True
        ),
        sample / "store/trajectories.parquet",
    )
    shutil.copy2(demo / "store/store.json", sample / "store/store.json")
    for v in chosen.video_id:
        shard = crops_file(demo / "store", v)
        (sample / "store/crops").mkdir(exist_ok=True)
        shutil.copy2(shard, sample / "store/crops" / shard.name)
    write_table(predictions, sample / "predictions.parquet")
    name = "tiny.safetensors"
    net = Detector.load(demo / "detector.safetensors")
    net.save(ASSETS / name, half=True, **net.training_info)
    listed = json.loads((ASSETS / "assets.json").read_text())
    listed[name] = dict(
        sha256=sha256_of(ASSETS / name),
        licence="Apache-2.0",
        origin="trained by `make demo` on synthetic faces only, then tools/sample.py; see its metadata",
    )
    write_json(listed, ASSETS / "assets.json")
    print(
        f"{len(chosen)} videos in {sample}, {name} {(ASSETS / name).stat().st_size / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main(*sys.argv[1:2])
