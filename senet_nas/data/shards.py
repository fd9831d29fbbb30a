"""What containers of many files have in common: which file is of which split, and labels."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from search_space.errors import InputError
from senet_nas.data.layout import SPLITS, split_of, test_split
from senet_nas.data.records import Labels

NO_LABEL = "-1"
MOST_DIGITS = 6
CLASS_FILES = ("classes.txt", "classnames.txt")


@dataclass(frozen=True)
class SplitFiles(ABC):
    """What an `Opened` of many files is, but for how images and labels stand in them. by_split: the
    files by the split that their names tell."""

    path: Path
    by_split: Mapping[str, tuple[Path, ...]]

    @property
    def where(self) -> str:
        """See `Opened`."""
        return str(self.path)

    @property
    def splits(self) -> tuple[str, ...]:
        """See `Opened`."""
        return tuple(split for split in SPLITS if split in self._chosen)

    def fingerprint(self) -> str:
        """See `Opened`."""
        files = [file for files in self.by_split.values() for file in files]
        return files_fingerprint([*files, *class_files(self.path)])

    @property
    @abstractmethod
    def _labels(self) -> tuple[dict[str, Labels], tuple[str, ...]]:
        """By the files' own split, and the classes' names."""

    def _name(self, split: str, number: int) -> str:
        """Of an image, for messages."""
        return f"row {number} of {split}"

    @cached_property
    def _chosen(self) -> dict[str, str]:
        return usable_splits(self.where, self._labels[0], self._name)


def shards_in(path: Path, suffix: str) -> dict[str, tuple[Path, ...]]:
    """The files with a suffix in a folder and those just below it, sorted, by split (`train`,
    `test`, `val`); a file is a set of itself."""
    if path.is_file():
        return {split_of(path.name): (path,)} if path.name.endswith(suffix) else {}
    files = sorted((*path.glob(f"*{suffix}"), *path.glob(f"*/*{suffix}")))
    by_split: dict[str, list[Path]] = {}
    for file in files:
        if not file.name.startswith("."):
            by_split.setdefault(split_of(str(file.relative_to(path))), []).append(file)
    return {split: tuple(found) for split, found in by_split.items()}


def class_files(where: Path) -> list[Path]:
    """The files of classes' names that there are beside images, the first of which counts."""
    folder = where if where.is_dir() else where.parent
    return [folder / name for name in CLASS_FILES if (folder / name).is_file()]


def files_fingerprint(files: Iterable[Path]) -> str:
    """From paths, sizes and times of change. Raises `InputError` for a file that is gone."""
    digest = hashlib.sha256()
    for file in files:
        try:
            stat = file.stat()
        except OSError as error:
            raise InputError(f"{file}: {error.strerror}") from None
        digest.update(f"{file.absolute()}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def class_names(where: Path, listed: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Names for the labels below `count`: those listed with the images, those of a file
    `classes.txt` or `classnames.txt` beside them (a line each), or else numbers.

    Raises `InputError` for fewer names than labels, and for a file that can't be read.
    """
    if listed is None and (files := class_files(where)):
        try:
            lines = files[0].read_text(encoding="utf-8").split("\n")
        except OSError as error:
            raise InputError(f"{files[0]}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise InputError(f"{files[0]}: not a text file in UTF-8") from None
        listed = [line.strip() for line in lines if line.strip()]
    names = tuple(listed) if listed is not None else tuple(map(str, range(count)))
    if len(names) < count:
        raise InputError(f"{where}: labels go to {count - 1}, and there are {len(names)} names")
    return names


def numbered(
    where: Path, labels: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Labels], tuple[str, ...]]:
    """Labels as numbers, by split, and the names of the classes, from labels as text: numbers, or
    names, which are sorted. `NO_LABEL` gives -1. Raises `InputError` for a number that is too large
    to be a class's."""
    texts = {text for split in labels.values() for text in split} - {NO_LABEL}
    if all(text.isdecimal() for text in texts):
        longest = max((text.lstrip("0") for text in texts), key=len, default="")
        if len(longest) > MOST_DIGITS:  # there would be as many classes
            raise InputError(
                f"{where}: {longest[:20]} is no number of a class, of {MOST_DIGITS} digits at most"
            )
        number_of = {text: int(text) for text in texts}
        names = class_names(where, None, max(number_of.values(), default=-1) + 1)
    else:
        names = tuple(sorted(texts))
        number_of = {name: number for number, name in enumerate(names)}
    number_of[NO_LABEL] = -1
    return {
        split: np.array([number_of[text] for text in of], np.int64) for split, of in labels.items()
    }, names


def usable_splits(
    where: str, labels: Mapping[str, Labels], name_of: Callable[[str, int], str]
) -> dict[str, str]:
    """Which of a set's own splits (`train`, `test`, `val`) serves as `train` and as `test`: those
    with labels. Raises `InputError` where some images of it have none."""
    labelled = {split: bool((of >= 0).any()) for split, of in labels.items()}
    chosen = {"train": "train"} if labelled.get("train") else {}
    if (test := test_split(labelled)) is not None:
        chosen["test"] = test
    if not chosen:
        raise InputError(f"{where}: holds no labelled images")
    for split in chosen.values():
        missing = np.flatnonzero(labels[split] < 0).tolist()
        if missing:
            raise InputError(
                f"{where}: {len(missing)} of {len(labels[split])} images have no label, as "
                f"{name_of(split, missing[0])}"
            )
    return chosen
