"""Looking at what a search found, and choosing from it."""

from senet_nas.analysis.front import Front, Point, front_of
from senet_nas.analysis.selection import Choice, choose, read_architecture, write_front

__all__ = [
    "Choice",
    "Front",
    "Point",
    "choose",
    "front_of",
    "read_architecture",
    "write_front",
]
