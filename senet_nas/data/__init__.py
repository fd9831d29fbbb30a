"""Images: reading them from folders and archives, splitting them, augmenting them in batches."""

from senet_nas.data.augment import Draws, augment, draw, normalise
from senet_nas.data.augmentation import Augmentation
from senet_nas.data.batches import Batch, Batches, TestBatches
from senet_nas.data.files import is_locked, locked, sync, sync_names, write_atomically
from senet_nas.data.image_set import RGB, ImageSet
from senet_nas.data.load import Split, load_images, splits_of
from senet_nas.data.memory import MemoryBatches, MemoryTestBatches
from senet_nas.data.opening import Reading, test_batches, training_batches
from senet_nas.data.resize import resized
from senet_nas.data.sample import SAMPLE
from senet_nas.data.splits import training_subset, validation_split
from senet_nas.nn.user_cache import default_cache

__all__ = [
    "RGB",
    "SAMPLE",
    "Augmentation",
    "Batch",
    "Batches",
    "Draws",
    "ImageSet",
    "MemoryBatches",
    "MemoryTestBatches",
    "Reading",
    "Split",
    "TestBatches",
    "augment",
    "default_cache",
    "draw",
    "is_locked",
    "load_images",
    "locked",
    "normalise",
    "resized",
    "splits_of",
    "sync",
    "sync_names",
    "test_batches",
    "training_batches",
    "training_subset",
    "validation_split",
    "write_atomically",
]
