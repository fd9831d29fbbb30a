"""Which split and which class an image file belongs to, told from its path alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from search_space.errors import InputError

SPLITS = ("train", "test")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
IN_ORDER_FILE = "imagenet_2012_validation_synset_labels.txt"
LABEL_FILES = tuple(  # see `validation_labels.py`
    f"{folder}{name}"
    for name in ("LOC_val_solution.csv", "val.txt", IN_ORDER_FILE)
    for folder in ("", "val/")
)
LAYOUTS = "train/<class>/, test/<class>/ (or val/); <class>/; or n01234567_*.JPEG"

_SPLIT_FOLDERS = ("train", "test", "val")
_SPLIT_OF = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}
_SPLIT_WORD = re.compile(rf"(?<![a-z])({'|'.join(_SPLIT_OF)})(?![a-z])")
_WORDNET_NAME = re.compile(r"(n\d{8})_.*")


@dataclass(frozen=True, slots=True)
class Layout:
    """The image files of a source: for each split, (path, class) pairs sorted by class and path."""

    train: tuple[tuple[str, str], ...]
    test: tuple[tuple[str, str], ...]
    classes: tuple[str, ...]


def is_image(path: str) -> bool:
    """Whether a relative path names a JPEG or PNG that isn't hidden."""
    if not path.lower().endswith(IMAGE_SUFFIXES):
        return False
    return not any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


def split_of(name: str) -> str:
    """`train`, `test` or `val`, told from the name of a file or folder that holds many images;
    what doesn't say is for training."""
    found = _SPLIT_WORD.search(name.lower())
    return _SPLIT_OF[found[1]] if found else "train"


def test_split(labelled: Mapping[str, bool]) -> str | None:
    """Which of the splits `test` and `val` is the test split: the first with labels."""
    return next((name for name in ("test", "val") if labelled.get(name)), None)


def layout_of(source: str, paths: Iterable[str], labels: Mapping[str, str] | None = None) -> Layout:
    """Sort the relative paths of a source's images into splits and classes.

    paths: in normal form, `/` between folders. labels: the class, or its number among the sorted
    ones of the training images, by a file's name without suffix, of files whose paths don't tell.

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
    has_splits = any(path.split("/")[depth] in _SPLIT_FOLDERS for path in images)
    unnamed: dict[str, list[tuple[str, str]]] = {}
    for path in images:
        parts = path.split("/")[depth:]
        split = "train"
        if has_splits:
            split, parts = parts[0], parts[1:]
            if split not in by_split:
                continue
        class_name = _class_of(parts)
        label = (labels or {}).get(parts[-1].partition(".")[0])
        if class_name is not None:
            by_split[split].append((path, class_name))
        elif label is not None:
            unnamed.setdefault(split, []).append((path, label))
        elif split != "test":  # ImageNet's own test images have no labels
            raise InputError(f"{source}: {path} lies in no class (layouts: {LAYOUTS})")
    known = sorted({name for _, name in by_split["train"]})
    for split, entries in unnamed.items():
        by_split[split] += [(path, _named(source, label, known)) for path, label in entries]
    return _checked(source, by_split)


def _named(source: str, label: str, known: list[str]) -> str:
    """A class by name, or by its number among those of the training images."""
    if not label.isdecimal():
        return label
    if int(label) >= len(known):
        raise InputError(f"{source}: class {label} of the test images isn't among {len(known)}")
    return known[int(label)]


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
    split_paths = [path.split("/") for path in images]
    depth = 0
    while True:
        first = split_paths[0][depth]
        shared = all(parts[depth] == first for parts in split_paths)
        below = [parts[depth + 1 :] for parts in split_paths]
        if not shared or first in _SPLIT_FOLDERS or not all(map(_class_of, below)):
            return depth
        depth += 1


def wordnet_class(name: str) -> str | None:
    """The WordNet id that a file's name begins with, as ImageNet's do."""
    match = _WORDNET_NAME.fullmatch(name)
    return match[1] if match else None


def _class_of(parts: list[str]) -> str | None:
    """The class of an image whose path below its split is `parts`: a folder or a WordNet id."""
    if len(parts) > 1:
        return parts[0]
    return wordnet_class(parts[0]) if parts else None
