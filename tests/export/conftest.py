"""A network in every format, which tests read and don't change."""

import pytest
from exported import MIXED, SUFFIXES, checkpoint_of, image_file

from senet_nas.export import export
from senet_nas.training import save_checkpoint

CLASSES = ("airplane", "[bold]bird[/]", "cat", "deer", "dog", "übergröße")


@pytest.fixture(scope="session")
def taken_home(tmp_path_factory):
    """A folder with a network as `net.safetensors` and in every format, and two images, `wide.png`
    and `high.jpg`; and its checkpoint."""
    path = tmp_path_factory.mktemp("taken home")
    checkpoint = checkpoint_of(MIXED, 32, CLASSES)
    save_checkpoint(path / "net.safetensors", checkpoint)
    for name, suffix in SUFFIXES.items():
        export(checkpoint, name, path / f"net{suffix}")
    image_file(path / "wide.png")
    image_file(path / "high.jpg", seed=3, size=(40, 77))
    return path, checkpoint
