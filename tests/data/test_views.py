"""Images seen one by one, against Pillow's, timm's and torchvision's own."""

import io
import math
import random
import tarfile
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from torchvision.transforms import InterpolationMode, v2

from search_space import InputError
from senet_nas.data import SAMPLE, Augmentation, ImageSet, MemoryBatches, normalise
from senet_nas.data.batch_resize import resized_parts
from senet_nas.data.centre import centred
from senet_nas.data.jpeg import decode_image, size_of
from senet_nas.data.policies import make_policy
from senet_nas.data.views import resized_part

MEAN = (0.485, 0.456, 0.406)
PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@pytest.fixture(scope="module")
def encoded():
    """60 real images as JPEG files of 32 x 32 pixels."""
    with tarfile.open(SAMPLE) as archive:
        return [archive.extractfile(member).read() for member in islice(archive, 60)]


@pytest.fixture(scope="module")
def photo(encoded):
    """An image of 320 x 256 pixels: 60 real ones, enlarged so that it is smooth as photos are."""
    tiles = [decoded(content) for content in encoded[:20]]
    lines = [np.hstack(tiles[at : at + 5]) for at in range(0, 20, 5)]
    image = Image.fromarray(np.vstack(lines)).resize((320, 256), Image.Resampling.BICUBIC)
    return np.array(image)


def decoded(content):
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def as_jpeg(pixels, mode="RGB", **settings):
    out = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, "JPEG", **settings)
    return out.getvalue()


@pytest.mark.parametrize(
    "settings",
    [{}, {"subsampling": 0}, {"subsampling": 2}, {"progressive": True}, {"quality": 30}],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_pixels_are_pillows(photo, encoded, mode, settings):
    content = as_jpeg(photo, mode, **settings)
    assert np.array_equal(decode_image(content), decoded(content))
    assert size_of(content) == (256, 320)
    for small in encoded:
        assert np.array_equal(decode_image(small), decoded(small))


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize("shrink", [2, 4, 8])
def test_a_fraction_of_the_size_is_what_pillow_drafts(photo, shrink, installed, monkeypatch):
    if not installed:
        monkeypatch.setattr("senet_nas.data.jpeg._turbo", lambda: None)
    content = as_jpeg(photo)
    with Image.open(io.BytesIO(content)) as file:
        file.draft("RGB", (320 // shrink, 256 // shrink))
        assert np.array_equal(decode_image(content, shrink), np.asarray(file))
    out = io.BytesIO()
    Image.fromarray(photo).save(out, "PNG")
    assert np.array_equal(decode_image(out.getvalue(), shrink), photo)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(64, 0.875), (48, 1.0), (300, 0.95)])
@pytest.mark.parametrize("shape", [(256, 320), (256, 199), (100, 101), (64, 64)])
def test_the_centre_is_what_timm_sees(photo, interpolation, size, shape):
    pixels = np.ascontiguousarray(photo[: shape[0], : shape[1]])
    image_size, crop_percent = size
    transform = create_transform(
        (3, image_size, image_size),
        is_training=False,
        interpolation=interpolation,
        crop_pct=crop_percent,
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
    )
    expected = (transform(Image.fromarray(pixels)) * 255).round().to(torch.uint8)
    found = centred(pixels, image_size, crop_percent, interpolation)
    assert np.array_equal(found, expected.permute(1, 2, 0).numpy())


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("box", [(0, 0, 256, 320), (17, 40, 120, 90), (200, 250, 20, 33)])
@pytest.mark.parametrize("flip", [False, True])
def test_a_resized_part_is_pillows(photo, interpolation, box, flip):
    top, left, height, width = box
    out = np.empty((64, 64, 3), np.uint8)
    resized_part(photo, photo.shape[:2], box, flip, interpolation, out)
    part = Image.fromarray(photo[top : top + height, left : left + width])
    expected = np.asarray(part.resize((64, 64), PILLOW[interpolation])).astype(int)
    if flip:
        expected = expected[:, ::-1]
    near = 2 if interpolation == "bilinear" else 5  # Pillow clips between its two passes
    assert np.abs(out - expected).max() <= near
    batch = resized_parts(
        torch.from_numpy(photo.copy())[None],
        torch.tensor([box]),
        torch.tensor([flip]),
        64,
        interpolation,
    )
    assert np.abs(batch[0].numpy() - expected).max() <= near


def test_a_part_decoded_to_a_fraction_looks_the_same(photo):
    content = as_jpeg(photo, quality=95)
    for box in ((0, 0, 256, 320), (13, 41, 150, 131), (1, 3, 255, 129)):
        fast, slow = np.empty((2, 32, 32, 3), np.uint8)
        resized_part(content, (256, 320), box, False, "bilinear", fast)
        resized_part(decoded(content), (256, 320), box, False, "bilinear", slow)
        difference = np.abs(fast.astype(int) - slow)
        assert 0 < difference.mean() < 5
        assert np.corrcoef(fast.ravel(), slow.ravel())[0, 1] > 0.99


def test_policies_are_timms_and_torchvisions(photo):
    from timm.data.auto_augment import rand_augment_transform

    pixels = np.ascontiguousarray(photo[:64, :64])
    seed = 2**63 + 12345
    words = "rand-m9-n3-mstd0.5-inc1"
    settings = {"translate_const": 28, "img_mean": (124, 116, 104)}
    settings["interpolation"] = Image.Resampling.BICUBIC
    theirs = rand_augment_transform(words, settings)
    mine = make_policy(Augmentation(auto_augment=words, interpolation="bicubic"), 64, MEAN)
    differ = 0
    for at in range(40):
        random.seed(seed + at)
        np.random.seed([(seed + at) % 2**32, (seed + at) // 2**32])
        expected = np.asarray(theirs(Image.fromarray(pixels)))
        found = mine(pixels, seed + at)
        assert np.array_equal(found, expected)
        differ += not np.array_equal(found, pixels)
    assert differ > 20

    wide = v2.TrivialAugmentWide(interpolation=InterpolationMode.BILINEAR)
    mine = make_policy(Augmentation(auto_augment="ta_wide"), 64, MEAN)
    for at in range(40):
        torch.manual_seed((seed + at) >> 1)
        expected = wide(torch.from_numpy(pixels).permute(2, 0, 1)).permute(1, 2, 0)
        assert np.array_equal(mine(pixels, seed + at), expected.numpy())
    assert make_policy(Augmentation(flip=True), 64, MEAN) is None


def test_resized_crops_in_memory_are_parts_of_the_image(photo):
    tiles = np.stack([photo[at : at + 64, at : at + 64] for at in range(0, 192, 2)])
    images = ImageSet(torch.from_numpy(tiles).permute(0, 3, 1, 2), torch.zeros(96).long(), ("x",))
    settings = Augmentation(crop="resized", crop_scale=(1, 1), crop_ratio=(1, 1))
    mean, std = (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)
    (whole,) = MemoryBatches(images, settings, 96, mean, std).epoch(0, 0)
    expected = normalise(images.pixels, torch.tensor(mean), torch.tensor(std))
    plain = MemoryBatches(images, Augmentation(), 96, mean, std)
    (ordered,) = plain.epoch(0, 0)
    assert torch.equal(whole.images, ordered.images)
    assert not torch.equal(whole.images, expected)
    smaller = Augmentation(crop="resized", crop_scale=(0.08, 0.5), interpolation="random")
    (parts,) = MemoryBatches(images, smaller, 96, mean, std).epoch(0, 0)
    assert parts.images.shape == whole.images.shape
    assert (parts.images - whole.images).abs().mean() > 0.1


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("crop", "square", "crop 'square' is not known"),
        ("crop_scale", (0, 1), "above 0 in rising order"),
        ("crop_scale", (0.5, 1.5), "must end at 1 at most"),
        ("crop_ratio", [2, 1], "above 0 in rising order"),
        ("crop_ratio", 1.0, "two numbers"),
        ("interpolation", "nearest", "did you mean|allowed: bilinear, bicubic, random"),
        ("auto_augment", "randaugment", "auto_augment 'randaugment' is not known"),
        ("auto_augment", "rand-m7-x3", "auto_augment 'rand-m7-x3' is not known"),
        ("auto_augment", None, "auto_augment None is not known"),
        ("color_jitter", 1.5, "color_jitter must be at most 1"),
        ("erase_probability", math.nan, "erase_probability"),
        ("erase_mode", "noise", "erase_mode 'noise' is not known"),
    ],
)
def test_augmentations_check_themselves(field, value, message):
    with pytest.raises(InputError, match=message):
        Augmentation(**{field: value})


def test_lists_of_a_file_become_values():
    settings = Augmentation(crop_scale=[0.35, 1], crop_ratio=[0.5, 2])
    assert settings == Augmentation(crop_scale=(0.35, 1.0), crop_ratio=(0.5, 2.0))
    assert len({settings, Augmentation()}) == 2
