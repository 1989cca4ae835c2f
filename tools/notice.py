"""Write NOTICE from threedad/assets/assets.json, so that the two never disagree."""

import json
from pathlib import Path

HEAD = """threedad
Copyright 2026 onwards, The threedad authors
Licensed under the Apache License, Version 2.0 (see LICENSE).

Files under threedad/assets that were made by others or from the work of others, or trained:
"""


ROOT = Path(__file__).resolve().parents[1]


def main(root=ROOT):
    listed = json.loads((root / "threedad/assets/assets.json").read_text())
    parts = [
        f"{name}\n    origin:  {a['origin']}\n    licence: {a['licence']}\n    sha256:  {a['sha256']}\n"
        for name, a in sorted(listed.items())
    ]
    (root / "NOTICE").write_text(HEAD + "\n" + "\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
