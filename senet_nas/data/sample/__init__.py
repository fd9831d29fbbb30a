"""The sample of CIFAR-10 that the package carries: 400 training and 100 test images a class."""

from pathlib import Path

SAMPLE = Path(__file__).with_name("cifar10-sample.tar.xz")
