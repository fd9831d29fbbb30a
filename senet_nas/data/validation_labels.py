"""The classes of ImageNet's validation images where these lie in one folder, from the files that
usually go with them.

`LOC_val_solution.csv` is Kaggle's: image, then `class left top right bottom` for each object.
`val.txt` is Caffe's: image and class, a WordNet id or its place among the sorted ones.
`imagenet_2012_validation_synset_labels.txt` is TensorFlow's: the class of each image in order.
"""

from __future__ import annotations

from collections.abc import Mapping

from search_space.errors import InputError
from senet_nas.data.layout import IN_ORDER_FILE, LABEL_FILES
from senet_nas.data.sources import Source

_IMAGE = "ILSVRC2012_val_{:08}"


def labels_in(source: Source) -> Mapping[str, str]:
    """The class of each image by its name without suffix, or its number in the sorted classes;
    nothing where there is no such file. Raises `InputError` for one that can't be read."""
    for path in LABEL_FILES:
        content = source.side_file(path)
        if content is not None:
            return _parsed(f"{source.path}: {path}", path.rpartition("/")[2], content)
    return {}


def _parsed(where: str, kind: str, content: bytes) -> dict[str, str]:
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise InputError(f"{where}: not a text file") from None
    rows = [line.replace(",", " ").split() for line in lines if line.strip()]
    if kind == IN_ORDER_FILE:
        return {_IMAGE.format(number): row[0] for number, row in enumerate(rows, 1)}
    if any(len(row) < 2 for row in rows):
        raise InputError(f"{where}: a line must be an image and its class")
    return {row[0].rpartition("/")[2].partition(".")[0]: row[1] for row in rows}
