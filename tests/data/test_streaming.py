"""Images that are streamed, against the same ones read in other ways."""

import errno
import fcntl
import io
import tarfile
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from layouts import write_folder, write_tar
from PIL import Image

import senet_nas.data as data_of
from search_space import InputError
from senet_nas.data import SAMPLE, Augmentation, Reading, training_batches
from senet_nas.data.sources import Archive
from senet_nas.data.streaming import Damage

PLAIN = Augmentation()
CPU = torch.device("cpu")
ALL = Augmentation(
    crop="resized",
    flip=True,
    interpolation="random",
    color_jitter=0.2,
    auto_augment="rand-m7-mstd0.5-inc1",
    cutout=8,
    erase_probability=0.5,
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 50 photos of several sizes, made of real images side by side, in two classes."""
    with tarfile.open(SAMPLE) as archive:
        members = list(islice(archive, 300))
        small = [
            np.asarray(Image.open(io.BytesIO(archive.extractfile(member).read())))
            for member in members
        ]
    files = {}
    for number in range(50):
        rows, columns = 2 + number % 2, 2 + number % 3
        first = number * 5
        tiles = [small[(first + tile) % 300] for tile in range(rows * columns)]
        lines = [np.hstack(tiles[at : at + columns]) for at in range(0, rows * columns, columns)]
        out = io.BytesIO()
        Image.fromarray(np.vstack(lines)).save(out, "JPEG", quality=90)
        split = "train" if number < 40 else "val"
        files[f"{split}/{'ab'[number % 2]}/{number:03}.jpg"] = out.getvalue()
    return write_folder(tmp_path_factory.mktemp("photos"), files)


def stream(data, augmentation=ALL, workers=0, **settings):
    given = {"batch_size": 8, "image_size": 32, "device": CPU} | settings
    reading = given.pop("reading", Reading("stream", workers))
    return training_batches(data, augmentation=augmentation, reading=reading, **given)


def images_of(batches, start=0, epoch=0):
    return [(batch.images, batch.labels) for batch in batches.epoch(3, epoch, start)]


def assert_equal(first, second):
    assert len(first) == len(second)
    for (images, labels), (others, theirs) in zip(first, second, strict=True):
        assert torch.equal(images, others) and torch.equal(labels, theirs)


def test_batches_have_the_form_that_training_wants(photos):
    batches = stream(photos, dtype=torch.bfloat16)
    assert (batches.count, batches.steps(), batches.classes) == (40, 5, ("a", "b"))
    for batch in batches.epoch(0, 0):
        assert batch.images.shape == (8, 3, 32, 32) and batch.images.dtype == torch.bfloat16
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.labels.dtype == torch.int64 and batch.weight == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_does_not_matter_nor_where_an_epoch_is_resumed(photos, workers):
    whole = images_of(stream(photos))
    batches = stream(photos, workers=workers)
    assert_equal(images_of(batches), whole)
    resumed = images_of(batches, start=3)
    assert_equal(resumed, whole[3:])
    abandoned = batches.epoch(3, 0)
    next(abandoned)
    del abandoned
    assert_equal(images_of(batches), whole)


def test_global_generators_neither_matter_nor_change(photos):
    torch.manual_seed(1)
    first = images_of(stream(photos))
    torch.manual_seed(2)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    assert_equal(images_of(stream(photos)), first)
    assert_equal(images_of(stream(photos, workers=1)), first)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("hold", ["stream", "memory"])
def test_ranks_part_the_images_of_each_step(photos, world, hold, cache):
    settings = Augmentation(crop="resized", flip=True, erase_probability=0.5)
    reading = Reading(hold, 0, cache=cache)

    def of(rank, ranks):
        per_rank = 12 // ranks
        return stream(
            photos, settings, rank=rank, world=ranks, batch_size=per_rank, reading=reading
        )

    alone = images_of(of(0, 1))
    parts = [of(rank, world) for rank in range(world)]
    assert {part.steps() for part in parts} == {len(alone)}
    shares = [list(part.epoch(3, 0)) for part in parts]
    for step, (images, labels) in enumerate(alone):
        batches = [share[step] for share in shares]
        assert torch.equal(torch.cat([batch.images for batch in batches]), images)
        assert torch.equal(torch.cat([batch.labels for batch in batches]), labels)
        sizes = [len(batch) for batch in batches]
        assert max(sizes) - min(sizes) <= 1
        assert [batch.weight for batch in batches] == [
            pytest.approx(size * world / len(labels)) for size in sizes
        ]


def test_every_image_comes_once_an_epoch_in_another_order_each(photos):
    plain = Augmentation()
    whole = stream(photos, plain, batch_size=40)
    epochs = [images_of(whole, epoch=epoch)[0][0] for epoch in range(2)]
    assert not torch.equal(epochs[0], epochs[1])
    sums = [sorted(epoch.double().sum((1, 2, 3)).tolist()) for epoch in epochs]
    assert sums[0] == sums[1] and len(set(sums[0])) == 40


def test_an_epoch_draws_its_own_augmentation(photos):
    first, again, second = (stream(photos, batch_size=40).epoch(3, epoch) for epoch in (0, 0, 1))
    first, again, second = next(first).images, next(again).images, next(second).images
    assert torch.equal(first, again) and not torch.equal(first.sort(0)[0], second.sort(0)[0])


def test_repeats_are_augmented_anew_and_make_an_epoch_no_longer(photos):
    batches = stream(photos, batch_size=40, repeats=4)
    ((images, labels),) = images_of(batches)
    assert batches.count == len(labels) == 40
    fours = images.reshape(10, 4, -1)
    assert all(len({tuple(image.tolist()) for image in four}) == 4 for four in fours)
    assert all(len(set(four)) == 1 for four in labels.view(10, 4).tolist())


def test_streamed_and_held_images_are_seen_alike_where_nothing_is_drawn(photos, cache):
    plain = Augmentation()
    held = stream(photos, plain, reading=Reading("memory", cache=cache))
    streamed = stream(photos, plain, mean=held.mean, std=held.std)
    assert_equal(images_of(streamed), images_of(held))
    assert streamed.mean == held.mean
    assert stream(photos, plain).mean == pytest.approx(held.mean, abs=1e-6)  # 40 are all of them


def crop_of(padded, down, right, flip):
    crop = padded[:, down : down + 32, right : right + 32]
    return crop.flip(2) if flip else crop


def test_padded_crops_of_streamed_images_are_parts_of_the_padded_image(photos):
    settings = Augmentation(crop_padding=4, padding="zero", flip=True)
    plain = images_of(stream(photos, Augmentation(), mean=(0, 0, 0), std=(1, 1, 1)))
    drawn = images_of(stream(photos, settings, mean=(0, 0, 0), std=(1, 1, 1)))
    shifts = set()
    for (images, _), (others, _) in zip(plain, drawn, strict=True):
        for image, other in zip(images, others, strict=True):
            padded = torch.nn.functional.pad(image, (4, 4, 4, 4))
            found = [
                (down, right, flip)
                for down in range(9)
                for right in range(9)
                for flip in (False, True)
                if torch.equal(crop_of(padded, down, right, flip), other)
            ]
            assert found
            shifts.add(found[0])
    assert len({flip for _, _, flip in shifts}) == 2 and len(shifts) > 20


def test_a_share_of_the_images(photos):
    half = stream(photos, fraction=0.5, seed=1)
    assert half.count == 20
    labels = torch.cat([labels for _, labels in images_of(half)])
    assert labels.bincount().tolist() == [10, 10]


def test_small_images_lie_in_memory_and_large_ones_or_policies_do_not(photos, cache):
    def kind(data, augmentation=PLAIN, image_size=None):
        reading = Reading(workers=0, cache=cache)
        return type(
            stream(data, augmentation, image_size=image_size, reading=reading)
        ).__name__.removesuffix("Batches")

    assert kind(None) == "Memory"
    assert kind(None, Augmentation(crop="resized")) == "Memory"
    assert kind(None, Augmentation(crop="resized"), 24) == "Streamed"
    assert kind(None, Augmentation(auto_augment="ta_wide")) == "Streamed"
    assert kind(photos, image_size=32) == "Memory"
    assert kind(photos, image_size=97) == "Streamed"
    with pytest.raises(InputError, match="aren't done to images in memory"):
        stream(photos, reading=Reading("memory", cache=cache))
    with pytest.raises(InputError, match="several sizes: give an image size"):
        stream(photos, image_size=None)
    with pytest.raises(InputError, match="hold 'disk' is not known"):
        Reading("disk")


def damaged(photos, tmp_path, count):
    files = {
        path.relative_to(photos).as_posix(): path.read_bytes()
        for path in photos.rglob("*")
        if path.is_file()
    }
    names = sorted(name for name in files if name.startswith("train"))[:count]
    for place, name in enumerate(names):
        files[name] = files[name][:-200] if place % 2 else b"no image"
    return write_folder(tmp_path / "damaged", files), names


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_images_are_named_counted_and_left_out(photos, tmp_path, caplog, workers):
    data, names = damaged(photos, tmp_path, 3)
    batches = stream(data, workers=workers)
    assert sum(len(batch) for batch in batches.epoch(0, 0)) == 37
    expected = tuple(
        f"{name} ({'truncated' if place % 2 else 'not a JPEG or PNG'})"
        for place, name in enumerate(names)
    )
    assert batches.skipped == expected
    assert all(name in caplog.text for name in expected)
    caplog.clear()
    assert sum(len(batch) for batch in batches.epoch(0, 1)) == 37
    assert not caplog.text  # each is named once
    _, whole = next(iter(images_of(stream(photos, batch_size=40))))
    labels = torch.cat([labels for _, labels in images_of(stream(data))])
    assert labels.bincount().sum() == 37 and whole.bincount().sum() == 40


def test_a_rank_that_meets_other_images_each_epoch_stops_for_too_many_of_all_it_has_met():
    records = SimpleNamespace(where="set", name=str)
    damage = Damage(records, 4000, 1000)
    for epoch in range(3):
        damage.begin(epoch)
        damage.add(dict.fromkeys(range(10 * epoch, 10 * epoch + 10), "truncated"))
    assert len(damage.names) == 30
    with pytest.raises(InputError, match="31 of 3000 images"):
        damage.add({30: "truncated"})
    damage.begin(2)  # gone on with after a stop
    with pytest.raises(InputError, match="31 of 3000 images"):
        damage.add({})


def test_too_many_damaged_images_stop_training_with_the_list(photos, tmp_path):
    data, names = damaged(photos, tmp_path, 11)
    with pytest.raises(InputError, match=r"11 of 40 images could not be read.*too many") as raised:
        list(stream(data).epoch(0, 0))
    assert all(name in str(raised.value) for name in names)


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("hold", ["stream", "memory"])
def test_evaluation_sees_each_image_exactly_once(photos, world, hold, cache):
    def of(rank, ranks):
        return data_of.test_batches(
            photos,
            image_size=32,
            crop_percent=0.875,
            interpolation="bicubic",
            batch_size=4,
            device=CPU,
            mean=(0.5, 0.5, 0.5),
            std=(0.2, 0.2, 0.2),
            rank=rank,
            world=ranks,
            reading=Reading(hold, 0, cache=cache),
        )

    whole = [(batch.images, batch.labels) for batch in of(0, 1)]
    ranks = [of(rank, world) for rank in range(world)]
    parts = [batch for rank in ranks for batch in rank]
    assert of(0, 1).count == ranks[0].count == sum(len(batch) for batch in parts) == 10
    assert torch.equal(torch.cat([b.images for b in parts]), torch.cat([i for i, _ in whole]))
    assert torch.equal(torch.cat([b.labels for b in parts]), torch.cat([n for _, n in whole]))


@pytest.mark.parametrize(("name", "mode"), [("x.tar.xz", "w:xz"), ("x.tar", "w:gz")])
def test_compressed_archives_are_copied_once_and_then_read_at_random(
    photos, tmp_path, cache, name, mode
):
    """Also one whose name doesn't say that it is compressed."""
    files = {
        path.relative_to(photos).as_posix(): path.read_bytes()
        for path in sorted(photos.rglob("*"), reverse=True)
        if path.is_file()
    }
    archive = write_tar(tmp_path / name, files, mode)
    assert {name: Archive(archive).read(name) for name in files} == files
    reading = Reading("stream", 0, cache=cache)
    for _ in range(2):
        assert_equal(images_of(stream(archive, reading=reading)), images_of(stream(photos)))
    assert len(list(cache.glob("*.copies.arrow"))) == 1


def test_a_file_system_without_locks_holds_copies_too(photos, cache, monkeypatch):
    def refusing(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refusing)
    reading = Reading("stream", 0, copies=256, cache=cache)
    assert_equal(images_of(stream(photos, reading=reading)), images_of(stream(photos)))


def test_smaller_copies_say_what_they_are(photos, cache, caplog):
    plain = Augmentation()
    reading = Reading("stream", 1, copies=40, cache=cache)
    for _ in range(2):
        caplog.clear()
        batches = stream(photos, plain, reading=reading)
        assert "a shorter side of 40 pixels at most, JPEG of quality 95, not the original" in (
            caplog.text
        )
    (path,) = cache.glob("*.copies.arrow")
    assert path.stat().st_size < sum(file.stat().st_size for file in photos.rglob("*.jpg"))
    for (images, labels), (others, theirs) in zip(
        images_of(batches), images_of(stream(photos, plain)), strict=True
    ):
        assert torch.equal(labels, theirs)
        assert (images - others).abs().mean() < 0.15


def test_downloaded_images_are_augmented_by_policies_too(cache, monkeypatch):
    images = data_of.load_images(None, "train").subset(range(0, 4000, 100))
    monkeypatch.setattr("senet_nas.data.load.download_cifar10", lambda *_: images)
    monkeypatch.chdir(cache.parent)  # no folder is called cifar10 here
    policy = Augmentation(crop="resized", auto_augment="ta_wide")
    here, elsewhere = (
        stream("cifar10", policy, reading=Reading("auto", workers), image_size=None)
        for workers in (0, 1)
    )
    assert (here.count, here.image_size) == (40, 32)
    assert_equal(images_of(here), images_of(elsewhere))
    plain = stream("cifar10", PLAIN, reading=Reading("stream", 0), image_size=None)
    held = stream("cifar10", PLAIN, reading=Reading("auto"), image_size=None)
    assert type(held).__name__ == "MemoryBatches"
    assert_equal(images_of(plain), images_of(held))
