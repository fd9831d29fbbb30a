"""Makes the carried sample: `python -m senet_nas.data.sample.make CIFAR10_ARCHIVE`.

The members are those of an archive of all of CIFAR-10 as JPEG (Krizhevsky 2009; `train/<class>/`,
`test/<class>/`), byte for byte. The same archive and seed give the same tar; its compressed form
may differ between versions of liblzma.
"""

from __future__ import annotations

import io
import lzma
import sys
import tarfile
from pathlib import Path

import numpy as np

from senet_nas.data.files import write_atomically
from senet_nas.data.layout import layout_of
from senet_nas.data.sample import SAMPLE
from senet_nas.data.sources import Archive

TRAIN_PER_CLASS = 400
TEST_PER_CLASS = 100
SEED = 0


def choose(paths: list[str], seed: int = SEED) -> list[str]:
    """The members that the sample holds, sorted."""
    layout = layout_of("archive", paths)
    rng = np.random.default_rng(seed)
    chosen: list[str] = []
    for entries, count in ((layout.train, TRAIN_PER_CLASS), (layout.test, TEST_PER_CLASS)):
        for class_name in layout.classes:
            members = [path for path, name in entries if name == class_name]
            picks = rng.choice(len(members), count, replace=False)
            chosen += [members[pick] for pick in picks]
    return sorted(chosen)


def make(archive: Path, out: Path) -> None:
    """Write the sample of `archive` to `out`, without owners and times."""
    source = Archive(archive)
    members = dict(source.contents(choose(source.paths())))
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w", format=tarfile.USTAR_FORMAT) as sample:
        for name, content in sorted(members.items()):
            if isinstance(content, str):
                raise ValueError(f"{archive}: {name}: {content}")
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            sample.addfile(entry, io.BytesIO(content))
    packed = lzma.compress(text.getvalue(), preset=9 | lzma.PRESET_EXTREME)
    write_atomically(out, lambda temporary: temporary.write_bytes(packed))


if __name__ == "__main__":
    make(Path(sys.argv[1]), SAMPLE)
