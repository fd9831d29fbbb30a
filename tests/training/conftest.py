"""A tiny network with SE, a little real data, and torch on a fixed number of threads."""

import pytest
import torch
from commands import write_images

from search_space import SE, Architecture, Block, Head, Stage
from senet_nas.data import load_images
from senet_nas.training import Recipe


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Sums in float32 depend on how threads share them out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def architecture():
    """Dropout, a strided depthwise convolution, SE."""
    block = Block("inverted_residual", 16, stride=2, expansion=2, se=SE(r=4, placement="conv3x3"))
    return Architecture(Stage((Block("conv", 8, stride=2),)), (Stage((block,)),), Head(dropout=0.1))


@pytest.fixture(scope="session")
def train_images():
    """100 images a class."""
    return load_images(None, "train").subset(range(0, 4000, 4))


@pytest.fixture(scope="session")
def test_images():
    return load_images(None, "test")


@pytest.fixture(scope="session")
def recipe():
    return Recipe(epochs=3, batch_size=32, learning_rate=0.1, cutout=8, precision="fp32")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder with 40 training and 10 test images of each of two classes, from the sample."""
    return write_images(tmp_path_factory.mktemp("data") / "data", ("cat", "ship"), 40, 10)
