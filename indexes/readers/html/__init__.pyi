from .document import read_web_page, web_page
from .mathml import SCRIPT_END, MathText, spaced

__all__ = [
    "SCRIPT_END",
    "MathText",
    "read_web_page",
    "spaced",
    "web_page",
]
