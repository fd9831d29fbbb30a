"""Images: reading them from folders and archives, splitting them, augmenting them in batches."""

from senet_nas.data.augment import Augmentation, Draws, augment, draw, normalise
from senet_nas.data.cache import default_cache
from senet_nas.data.files import locked, sync, write_atomically
from senet_nas.data.image_set import RGB, ImageSet
from senet_nas.data.load import Split, load_images, splits_of
from senet_nas.data.resize import resized
from senet_nas.data.sample import SAMPLE
from senet_nas.data.splits import training_subset, validation_split

__all__ = [
    "RGB",
    "SAMPLE",
    "Augmentation",
    "Draws",
    "ImageSet",
    "Split",
    "augment",
    "default_cache",
    "draw",
    "load_images",
    "locked",
    "normalise",
    "resized",
    "splits_of",
    "sync",
    "training_subset",
    "validation_split",
    "write_atomically",
]
