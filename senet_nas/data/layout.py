"""Which split and which class an image file belongs to, told from its path alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from search_space.errors import InputError

SPLITS = ("train", "test")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
LAYOUTS = "train/<class>/, test/<class>/ (or val/); <class>/; or n01234567_*.JPEG"

_SPLIT_FOLDERS = ("train", "test", "val")
_WORDNET_NAME = re.compile(r"(n\d{8})_.*")


@dataclass(frozen=True, slots=True)
class Layout:
    """The image files of a source: for each split, (path, class) pairs sorted by class and path."""

    train: tuple[tuple[str, str], ...]
    test: tuple[tuple[str, str], ...]
    classes: tuple[str, ...]


def is_image(path: str) -> bool:
    """Whether a relative path names a JPEG or PNG that isn't hidden."""
    parts = PurePosixPath(path).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not hidden and path.lower().endswith(IMAGE_SUFFIXES)


def layout_of(source: str, paths: Iterable[str]) -> Layout:
    """Sort the relative paths of a source's images into splits and classes.

    `test/` is the test split, or `val/` where no labelled `test/` stands. Folders above the
    splits or classes that all paths share are ignored; folders below a class don't matter.
    Raises `InputError`, naming `source`, for no images, a path in no class, and a class of the
    test images that the training images lack.
    """
    images = [path for path in sorted(paths) if is_image(path)]
    if not images:
        raise InputError(f"{source}: holds no JPEG or PNG images")
    depth = _shared_depth(images)
    by_split: dict[str, list[tuple[str, str]]] = {name: [] for name in _SPLIT_FOLDERS}
    has_splits = any(PurePosixPath(path).parts[depth] in _SPLIT_FOLDERS for path in images)
    for path in images:
        parts = PurePosixPath(path).parts[depth:]
        split = "train"
        if has_splits:
            split, parts = parts[0], parts[1:]
            if split not in by_split:
                continue
        class_name = _class_of(parts)
        if class_name is not None:
            by_split[split].append((path, class_name))
        elif split != "test":  # ImageNet's own test images have no labels
            raise InputError(f"{source}: {path} lies in no class (layouts: {LAYOUTS})")
    return _checked(source, by_split)


def _checked(source: str, by_split: dict[str, list[tuple[str, str]]]) -> Layout:
    by_class = {
        split: tuple(sorted(entries, key=lambda entry: (entry[1], entry[0])))
        for split, entries in by_split.items()
    }
    train, test = by_class["train"], by_class["test"] or by_class["val"]
    if not train and not test:
        raise InputError(f"{source}: holds no labelled images (layouts: {LAYOUTS})")
    known = {name for _, name in train or test}
    for path, name in test:
        if name not in known:
            raise InputError(f"{source}: {path}: the training images have no class {name!r}")
    return Layout(train, test, tuple(sorted(known)))


def _shared_depth(images: list[str]) -> int:
    """How many leading folders to ignore: those that all paths share, above splits or classes."""
    split_paths = [PurePosixPath(path).parts for path in images]
    depth = 0
    while True:
        first = split_paths[0][depth]
        shared = all(parts[depth] == first for parts in split_paths)
        below = [parts[depth + 1 :] for parts in split_paths]
        if not shared or first in _SPLIT_FOLDERS or not all(map(_class_of, below)):
            return depth
        depth += 1


def _class_of(parts: tuple[str, ...]) -> str | None:
    """The class of an image whose path below its split is `parts`: a folder or a WordNet id."""
    if len(parts) > 1:
        return parts[0]
    match = _WORDNET_NAME.fullmatch(parts[0]) if parts else None
    return match[1] if match else None
