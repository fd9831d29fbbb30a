import numpy as np
import pytest
import torch

from search_space import InputError
from senet_nas.data import Augmentation, ImageSet, augment, draw, load_images, normalise

MEAN, STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.25, 0.2, 0.3])


@pytest.fixture(scope="module")
def images():
    return load_images(None, "train").subset(range(0, 4000, 50))


def one_by_one(image, draws, index, augmentation):
    """The slow way, as one would write it for one image: (3, H, W), normalised."""
    reach = augmentation.crop_padding
    mode = "reflect" if augmentation.padding == "reflect" else "constant"
    padded = np.pad(image.numpy(), [(0, 0), (reach, reach), (reach, reach)], mode=mode)
    down, right = (draws.shifts[index] + reach).tolist()
    _, height, width = image.shape
    cropped = padded[:, down : down + height, right : right + width]
    if draws.flips[index]:
        cropped = cropped[:, :, ::-1]
    result = (cropped / 255.0 - MEAN[:, None, None].numpy()) / STD[:, None, None].numpy()
    row, column = draws.centres[index].tolist()
    half, side = augmentation.cutout // 2, augmentation.cutout
    top, left = row - half, column - half
    result[:, max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)] = 0
    return torch.from_numpy(result)


@pytest.mark.parametrize("padding", ["reflect", "zero"])
@pytest.mark.parametrize(("reach", "flip", "cutout"), [(4, True, 0), (0, False, 7), (3, True, 8)])
@pytest.mark.parametrize("height", [32, 20])
def test_batches_equal_images_augmented_one_by_one(images, padding, reach, flip, cutout, height):
    augmentation = Augmentation(reach, padding, flip, cutout)
    pixels = images.pixels[:, :height].contiguous()
    indices = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))[:40]
    draws = draw(augmentation, 40, height, 32, torch.Generator().manual_seed(2))
    batch = augment(pixels, indices, draws, augmentation, MEAN, STD)
    assert batch.shape == (40, 3, height, 32)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    for position, index in enumerate(indices.tolist()):
        expected = one_by_one(pixels[index].permute(2, 0, 1), draws, position, augmentation)
        torch.testing.assert_close(batch[position].double(), expected, atol=1e-5, rtol=1e-5)


def test_draws_are_uniform_and_stay_in_reach():
    draws = draw(Augmentation(2, flip=True), 20_000, 32, 32, torch.Generator().manual_seed(0))
    for axis in range(2):
        share = (draws.shifts[:, axis] + 2).bincount() / 20_000
        assert share.tolist() == pytest.approx([0.2] * 5, abs=0.02)
    assert draws.flips.float().mean() == pytest.approx(0.5, abs=0.02)
    assert draws.centres.min() == 0 and draws.centres.max() == 31


def test_a_seed_gives_the_same_batch(images):
    augmentation = Augmentation(4, flip=True, cutout=8)

    def batch(seed):
        draws = draw(augmentation, 80, 32, 32, torch.Generator().manual_seed(seed))
        return augment(images.pixels, torch.arange(80), draws, augmentation, MEAN, STD)

    assert torch.equal(batch(3), batch(3)) and not torch.equal(batch(3), batch(4))


def test_no_augmentation_only_normalises(images):
    nothing = Augmentation()
    draws = draw(nothing, 80, 32, 32, torch.Generator())
    batch = augment(images.pixels, torch.arange(80), draws, nothing, MEAN, STD)
    assert torch.equal(batch, normalise(images.pixels, MEAN, STD))


def test_training_images_are_normalised_to_mean_0_and_deviation_1(images):
    batch = normalise(images.pixels, torch.tensor(images.mean()), torch.tensor(images.std()))
    assert batch.mean((0, 2, 3)).tolist() == pytest.approx([0] * 3, abs=1e-4)
    assert batch.std((0, 2, 3)).tolist() == pytest.approx([1] * 3, abs=1e-3)


def test_padding_must_be_smaller_than_the_image():
    with pytest.raises(InputError, match="crop_padding 8 must be below the image's 8"):
        draw(Augmentation(8), 1, 8, 16, torch.Generator())


def test_image_sets_check_themselves_and_select(images):
    part = images.subset([5, 2])
    assert torch.equal(part.images[1], images.images[2])
    assert part.pixels.is_contiguous()
    assert torch.equal(part.labels, images.labels[[5, 2]])
    with pytest.raises(InputError, match="images must be uint8"):
        ImageSet(images.images.float(), images.labels, images.classes)
    with pytest.raises(InputError, match="labels must be int64"):
        ImageSet(images.images, images.labels[:3], images.classes)
    with pytest.raises(InputError, match="labels must lie in 0 to 1"):
        ImageSet(images.images, images.labels, ("a", "b"))
