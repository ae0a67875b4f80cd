from .front_matter import front_matter
from .includes import XINCLUDE, included, names_of
from .markdown import markdown_headings, read_markdown
from .outlines import read_asciidoc, read_bibtex, read_latex, read_org
from .references import with_references
from .restructuredtext import read_rst
from .tables import markdown_tables

__all__ = [
    "XINCLUDE",
    "front_matter",
    "included",
    "markdown_headings",
    "markdown_tables",
    "names_of",
    "read_asciidoc",
    "read_bibtex",
    "read_latex",
    "read_markdown",
    "read_org",
    "read_rst",
    "with_references",
]
