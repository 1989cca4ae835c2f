"""Sphinx settings: the site is the notebooks, with the outputs stored in them."""
project = "threedad"
author = "The threedad authors"
copyright = "2026 onwards, The threedad authors"
extensions = ["myst_nb"]
html_theme = "furo"
html_title = "threedad"
root_doc = "index"
include_patterns = ["index.ipynb", "nbs/**", "docs/*.md"]
exclude_patterns = ["**.ipynb_checkpoints", ".venv*", "docs/_build"]
nb_execution_mode = "off"
nb_merge_streams = True
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type", "toc.not_included"]
