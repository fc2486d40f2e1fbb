"""Settings of Sphinx, which builds these pages: `make docs`."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "nlptl"
version = release = installed("nlptl")
author = "the nlptl authors"
project_copyright = "the nlptl authors. Licence: Apache-2.0"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
    "generated",
    "mathml",
]
exclude_patterns = ["_build", "figures/*.md"]
myst_enable_extensions = ["colon_fence", "deflist", "substitution"]
myst_substitutions = {"version": version}
myst_heading_anchors = 3
# The notebooks are shown with the outputs committed in them; tests/test_notebooks.py runs them.
nb_execution_mode = "off"
# No widgets, whose scripts lie on the network.
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
nb_output_stderr = "remove"

autodoc_typehints = "signature"
autodoc_class_signature = "separated"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
# Docstrings name code in single backticks.
default_role = "code"

html_theme = "furo"
html_title = f"nlptl {version}"
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["_static"]
html_favicon = "_static/nlptl.svg"
html_css_files = ["nlptl.css"]
copybutton_exclude = ".linenos, .gp, .go"
