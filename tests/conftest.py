"""What tests through the command line share: a few real images, a small run, no user's cache."""

import os

import pytest
import torch
from commands import Folder, senet_nas, write_images, write_run

from senet_nas.nn.user_cache import default_cache


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory):
    """Decoded images are kept here, by this process and those that it starts; kernels, which take
    a minute to build, where the user keeps them."""
    before = os.environ.get("XDG_CACHE_HOME")
    kernels = default_cache() / "kernels"
    home = tmp_path_factory.mktemp("cache")
    os.environ["XDG_CACHE_HOME"] = str(home)
    kernels.mkdir(parents=True, exist_ok=True)
    default_cache().mkdir()
    (default_cache() / "kernels").symlink_to(kernels)
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """As workers train: one thread adds up the same in every process."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder of real images: three classes of CIFAR-10, 16 to train and 6 to test on each."""
    return write_images(tmp_path_factory.mktemp("images") / "tiny")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, images):
    """The folder of a search that ran to its end. Tests copy what they change."""
    folder = tmp_path_factory.mktemp("finished")
    done = senet_nas("search", write_run(folder / "run.toml", images), "--out", folder / "out")
    assert done.status == 0, done.stderr
    return folder / "out"


@pytest.fixture
def folder(tmp_path, images, monkeypatch):
    """An empty working folder with a run file in it, `run.toml`, for a search of seconds."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run.toml", images)
    return Folder(tmp_path)
