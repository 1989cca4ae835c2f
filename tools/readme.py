"""Make README.md from index.ipynb: hidden cells and directives left out, figures kept in docs/images."""

import re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter


ROOT = Path(__file__).resolve().parents[1]


def main(root=ROOT):
    nb = nbformat.read(root / "index.ipynb", 4)
    nb.cells = [
        c for c in nb.cells if not re.match(r"#\|\s*(hide|export|default_exp)\b", c.source)
    ]
    for c in nb.cells:
        if c.cell_type == "code":
            if re.search(r"^#\|\s*echo:\s*false", c.source, flags=re.M):
                c.metadata["transient"] = {"remove_source": True}
            c.source = re.sub(r"^#\|.*\n", "", c.source, flags=re.M)
            c.outputs = [o for o in c.outputs if o.output_type != "stream" or o.name != "stderr"]
    nb.metadata["language_info"] = {"name": "python"}
    text, resources = MarkdownExporter().from_notebook_node(nb)
    images = root / "docs" / "images"
    for old in images.glob("output_*"):
        old.unlink()
    for name, data in resources["outputs"].items():
        images.mkdir(parents=True, exist_ok=True)
        (images / name).write_bytes(data)
        text = text.replace(f"({name})", f"(docs/images/{name})")
    text = re.sub(r"<style scoped>.*?</style>\n?", "", text, flags=re.S)
    text = re.sub(r"\n +\n!\[png\]", "\n\n![figure]", text)
    text = (
        "<!-- made from index.ipynb by `make export`; edit that -->\n\n"
        + re.sub(r"\n{3,}", "\n\n", text).strip()
        + "\n"
    )
    (root / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
