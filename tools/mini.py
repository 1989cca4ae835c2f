"""Make data/mini: six synthetic people, real and forged in six ways, tracked and fitted."""

import shutil
from pathlib import Path

import pandas as pd

from threedad.core import progress, write_table
from threedad.fit import fit
from threedad.synthset import synthesize
from threedad.tracking import track

ROOT = Path(__file__).resolve().parents[1]


def main(people=6, frames=32, seed=7):
    out = ROOT / "data/mini"
    shutil.rmtree(out, ignore_errors=True)
    videos = synthesize(
        out, people=people, videos=people, frames=frames, seed=seed, difficulty=("easy", "hard")
    )
    tables, found = [], []
    for v in progress(videos.itertuples(), desc="track and fit", total=len(videos), unit="video"):
        t = track(v.path, progress=False)
        t.save(out / "tracks" / f"{v.Index:02}.npz")
        tables.append(fit(t, video_id=v.video_id).table)
        found.append(t.faces_found)
    videos = videos.assign(
        path=[Path(p).relative_to(out).as_posix() for p in videos.path],
        track=[f"tracks/{i:02}.npz" for i in range(len(videos))],
        faces_found=found,
    )
    write_table(videos, out / "videos.parquet")
    write_table(pd.concat(tables, ignore_index=True), out / "trajectories.parquet")
    shutil.rmtree(out / "truth")
    print(
        f"{len(videos)} videos in {out}, {sum(p.stat().st_size for p in out.rglob('*') if p.is_file()) / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
