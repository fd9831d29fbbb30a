"""Real images: members of the carried sample, as {path: bytes}."""

import tarfile

import pytest

from senet_nas.data import SAMPLE

CLASSES = ("cat", "ship")


@pytest.fixture(scope="session")
def members():
    """The first 12 training and 4 test images of two classes, in the sample's layout."""
    found = {}
    with tarfile.open(SAMPLE) as archive:
        for member in archive:
            split, name, _ = member.name.split("/")
            have = sum(path.startswith(f"{split}/{name}/") for path in found)
            if name in CLASSES and have < (12 if split == "train" else 4):
                found[member.name] = archive.extractfile(member).read()
    return found


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"
