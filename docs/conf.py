"""How Sphinx makes a site of these pages: `make docs`."""

project = "rl-scaffolder"
author = "The rl-scaffolder authors"
extensions = ["myst_parser"]
myst_heading_anchors = 3  # so that links to a section work here as they do on GitHub
nitpicky = True
html_theme = "furo"
html_title = project
html_show_copyright = False
html_copy_source = False
html_use_index = False
