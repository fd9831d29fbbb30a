import gzip
import io
import logging
import os
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from layouts import link, write_folder, write_tar
from PIL import Image

from search_space import InputError
from senet_nas.data import load, load_images, splits_of
from senet_nas.data.sources import Archive, Folder
from senet_nas.nn.user_cache import default_cache


def decoded(content):
    return torch.from_numpy(np.array(Image.open(io.BytesIO(content)).convert("RGB"))).permute(
        2, 0, 1
    )


def assert_holds(images, files, split="train"):
    expected = [content for path, content in sorted(files.items()) if path.startswith(split)]
    assert torch.equal(images.images, torch.stack([decoded(content) for content in expected]))
    assert images.classes == ("cat", "ship")
    assert images.labels.tolist() == [0] * (len(expected) // 2) + [1] * (len(expected) // 2)


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_carried_sample(split, cache):
    images = load_images(None, split, cache=cache)
    per_class = 400 if split == "train" else 100
    assert images.images.shape == (10 * per_class, 3, 32, 32)
    assert images.labels.bincount().tolist() == [per_class] * 10
    assert images.classes[:2] == ("airplane", "automobile")
    assert images.mean() == pytest.approx((0.49, 0.48, 0.45), abs=0.01)
    assert images.std() == pytest.approx((0.25, 0.24, 0.26), abs=0.01)


@pytest.mark.parametrize("prefix", ["", "top/", "./", "a/b/c/"])
@pytest.mark.parametrize("name", ["x.tar", "x.tar.xz", "x.tar.gz", "folder"])
def test_splits_in_folders_and_archives(members, tmp_path, cache, prefix, name):
    files = {prefix + path: content for path, content in members.items()}
    files[prefix + "README.txt"] = b"not an image"
    files[prefix + "train/cat/.hidden.jpg"] = b"not an image either"
    if name == "folder":
        data = write_folder(tmp_path / name, files)
    else:
        data = write_tar(tmp_path / name, files, "w:" + name.partition("tar")[2].lstrip("."))
    for split in ("train", "test"):
        assert_holds(load_images(data, split, cache=cache), members, split)
    assert splits_of(data) == ("train", "test")


def test_imagenets_val_is_the_test_split_beside_unlabelled_test_images(members, tmp_path, cache):
    files = {}
    for path, content in members.items():
        split, class_name, name = path.split("/")
        wordnet = {"cat": "n02121620", "ship": "n04194289"}[class_name]
        split = "val" if split == "test" else split
        files[f"ILSVRC/Data/{split}/{wordnet}/{wordnet}_{name[:4]}.JPEG"] = content
    files["ILSVRC/Data/test/ILSVRC2012_test_00000001.JPEG"] = next(iter(members.values()))
    data = write_tar(tmp_path / "imagenet.tar", files)
    images = load_images(data, "test", cache=cache)
    assert images.classes == ("n02121620", "n04194289")
    assert len(images) == 8 and len(load_images(data, "train", cache=cache)) == 24


def test_flat_wordnet_names_and_bare_classes_are_all_for_training(members, tmp_path, cache):
    train = {path: content for path, content in members.items() if path.startswith("train")}
    flat = {f"x/n0212162{'cs'.index(p[6])}_{p[-8:-4]}.JPEG": c for p, c in train.items()}
    bare = {path.removeprefix("train/"): content for path, content in train.items()}
    from_flat = load_images(write_folder(tmp_path / "flat", flat), "train", cache=cache)
    assert from_flat.classes == ("n02121620", "n02121621")
    from_bare = load_images(write_folder(tmp_path / "bare", bare), "train", cache=cache)
    assert_holds(from_bare, train)
    assert torch.equal(from_flat.images, from_bare.images)
    assert splits_of(tmp_path / "bare") == ("train",)
    with pytest.raises(InputError, match="holds no test images"):
        load_images(tmp_path / "bare", "test", cache=cache)


def test_images_of_other_sizes_are_resized_by_the_shorter_side_and_centre_cropped(tmp_path, cache):
    # Left third red, middle green, right third blue: the centre of 90 x 30 is green.
    wide = np.zeros((30, 90, 3), np.uint8)
    for third in range(3):
        wide[:, third * 30 : third * 30 + 30, third] = 255
    for index, size in enumerate([(90, 30), (180, 60)]):
        file = tmp_path / f"data/train/a/{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(wide).resize(size, Image.Resampling.NEAREST).save(file)
    with pytest.raises(InputError, match=r"1\.png is 180x60 pixels, others are 90x30.*image size"):
        load_images(tmp_path / "data", "train", cache=cache)
    images = load_images(tmp_path / "data", "train", 30, cache=cache).images
    assert images.shape == (2, 3, 30, 30)
    assert (images[:, 1, :, 2:-2] == 255).all() and (images[:, 0, :, 2:-2] == 0).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(tmp_path, cache, mode):
    file = tmp_path / ("data/a/0.jpg" if mode == "CMYK" else "data/a/0.png")
    file.parent.mkdir(parents=True)
    Image.new("I;16" if mode == "I;16" else "L", (8, 8), 0).convert(mode).save(file)
    assert load_images(tmp_path / "data", "train", cache=cache).images.shape == (1, 3, 8, 8)


def test_test_images_are_read_only_when_asked_for(members, tmp_path, cache, monkeypatch):
    for data in (
        write_folder(tmp_path / "folder", members),
        write_tar(tmp_path / "x.tar", members),
    ):
        kind, asked = (Folder if data.is_dir() else Archive), []
        original = kind.contents

        def contents(self, wanted, original=original, asked=asked):
            for name, content in original(self, wanted):
                asked.append(name)
                yield name, content

        monkeypatch.setattr(kind, "contents", contents)
        load_images(data, "train", cache=cache)
        assert sorted(asked) == sorted(path for path in members if path.startswith("train"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no JPEG or PNG images"),
        ({"notes.txt": b"x"}, "holds no JPEG or PNG images"),
        ({"train/a/0.jpg": b"", "test/b/0.jpg": b""}, "training images have no class 'b'"),
        ({"train/0.jpg": b"", "train/a/1.jpg": b""}, r"train/0\.jpg lies in no class"),
        ({"a.jpg": b""}, r"a\.jpg lies in no class"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(tmp_path, cache, files, message):
    (tmp_path / "data").mkdir()
    data = write_folder(tmp_path / "data", files)
    with pytest.raises(InputError, match=message) as raised:
        load_images(data, "train", cache=cache)
    assert str(data) in str(raised.value) and "\n" not in str(raised.value)


def test_missing_and_foreign_files(tmp_path, cache):
    with pytest.raises(InputError, match="no such file or folder"):
        load_images(tmp_path / "nowhere", "train", cache=cache)
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"is no folder and no archive"):
        load_images(tmp_path / "x.zip", "train", cache=cache)
    (tmp_path / "x.tar").write_bytes(b"no archive at all")
    with pytest.raises(InputError, match="cannot be read as an archive"):
        load_images(tmp_path / "x.tar", "train", cache=cache)


def test_a_folder_that_cannot_be_read_is_not_left_out(members, tmp_path, cache, monkeypatch):
    """As a class that belongs to another user."""
    data, scandir = write_folder(tmp_path / "x", members), os.scandir
    refused = {"lost+found", ".hidden"}
    for name in refused:
        (data / name).mkdir()

    def refusing(path):
        if Path(path).name in refused:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert_holds(load_images(data, "train", cache=cache), members)
    refused.add("cat")
    with pytest.raises(InputError, match="cat: Permission denied"):
        load_images(data, "train", cache=cache)


def test_a_cut_off_archive(members, tmp_path, cache):
    data = write_tar(tmp_path / "x.tar.xz", members, "w:xz")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read as an archive"):
        load_images(data, "train", cache=cache)


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
@pytest.mark.parametrize("damage", ["before", "within", "inside"])
def test_an_archive_that_ends_at_a_header_is_cut_off(members, tmp_path, cache, name, damage):
    """What `tarfile` alone takes for its end, without a word of the images behind it."""
    data = write_tar(tmp_path / "whole.tar", members)
    with tarfile.open(data) as archive:
        header = archive.getmembers()[5].offset
    content = bytearray(data.read_bytes())
    if damage == "inside":
        content[header] ^= 0xFF  # and its checksum is wrong
    else:
        del content[header + (100 if damage == "within" else 0) :]
    data = tmp_path / name
    data.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(InputError, match=r"cut off or damaged behind \w+/.*\.jpg"):
        load_images(data, "train", cache=cache)


def test_what_is_no_archive_is_said_in_one_line(tmp_path, cache):
    for content in (b"", b"no archive" * 1000):
        (tmp_path / "x.tar.xz").write_bytes(content)
        with pytest.raises(InputError) as refused:
            load_images(tmp_path / "x.tar.xz", "train", cache=cache)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["../evil.jpg", "/etc/evil.jpg", "train/cat/../../../evil.jpg"])
def test_members_that_leave_their_folder_are_refused(members, tmp_path, cache, name):
    data = write_tar(tmp_path / "x.tar", members | {name: b"x"})
    with pytest.raises(InputError, match="leaves its folder"):
        load_images(data, "train", cache=cache)


def test_links_in_archives_are_never_followed(members, tmp_path, cache, caplog):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(members["train/cat/" + min(p[10:] for p in members if "train/cat" in p)])
    extra = [link("train/cat/z.jpg", str(secret)), link("train/cat/y.jpg", "a", b"3")]
    images = load_images(write_tar(tmp_path / "x.tar", members, extra=extra), "train", cache=cache)
    assert_holds(images, members)
    assert "2 of 26 images" in caplog.text
    assert "train/cat/z.jpg (not a regular file)" in caplog.text


@pytest.mark.parametrize("name", ["x.tar", "x.tar.xz"])
def test_of_members_with_one_path_the_last_counts(members, tmp_path, cache, caplog, name):
    first, second, third = sorted(path for path in members if path.startswith("train/cat"))[:3]
    small = io.BytesIO()
    Image.new("RGB", (8, 8)).save(small, "PNG")  # a member that was replaced is not even read
    earlier = [(f"./{first}", small.getvalue()), (second, b"no image"), (third, members[second])]
    files = [*earlier, *members.items()]
    data = write_tar(tmp_path / name, files, "w:" + name.partition("tar")[2].lstrip("."))
    assert_holds(load_images(data, "train", cache=cache), members)
    assert not caplog.text
    spoilt = write_tar(tmp_path / "y.tar", [*members.items(), (first, b"no image")])
    assert load_images(spoilt, "train", cache=cache).skipped == (f"{first} (not a JPEG or PNG)",)


def test_damaged_images_are_named_counted_and_skipped(members, tmp_path, cache, caplog):
    files = dict(members)
    first, second = sorted(path for path in files if path.startswith("train/cat"))[:2]
    files[first] = files[first][:-300]
    files[second] = b"no image"
    data = write_tar(tmp_path / "x.tar", files)
    for _ in range(2):  # the second time from the cache
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            images = load_images(data, "train", cache=cache)
        assert len(caplog.records) == 1
        assert caplog.records[0].getMessage() == (
            f"2 of 24 images could not be read: {first} (truncated), {second} (not a JPEG or PNG)"
        )
        assert images.skipped == (f"{first} (truncated)", f"{second} (not a JPEG or PNG)")
        assert images.labels.tolist() == [0] * 10 + [1] * 12


def test_too_many_damaged_images_stop_with_the_list(members, tmp_path, cache):
    damaged = {f"train/cat/x{index:02}.jpg": b"no image" for index in range(10)}
    ten = write_folder(tmp_path / "ten", members | damaged)
    assert len(load_images(ten, "train", cache=cache).skipped) == 10
    eleven = write_folder(ten, {"train/ship/last.jpg": b"no image"})
    with pytest.raises(InputError, match=r"11 of 35 images.*x00\.jpg.*train/ship/last\.jpg"):
        load_images(eleven, "train", cache=cache)


def test_all_images_damaged(tmp_path, cache):
    data = write_folder(tmp_path / "data", {"train/a/0.jpg": b"no image"})
    with pytest.raises(InputError, match=r"no image could be read: train/a/0\.jpg"):
        load_images(data, "train", cache=cache)


def test_a_set_larger_than_memory_is_refused_before_it_is_decoded(
    members, tmp_path, cache, monkeypatch
):
    monkeypatch.setattr(os, "sysconf", lambda name: 1 if "PAGES" in name else 4096)
    with pytest.raises(InputError, match="24 images of 32x32 pixels need"):
        load_images(write_folder(tmp_path / "data", members), "train", cache=cache)


def test_the_cache_takes_the_place_of_decoding(members, tmp_path, cache, monkeypatch):
    data = write_tar(tmp_path / "x.tar", members)
    first = load_images(data, "train", cache=cache)
    monkeypatch.setattr(load, "decode_all", lambda *_: pytest.fail("decoded again"))
    again = load_images(data, "train", cache=cache)
    assert torch.equal(first.images, again.images) and torch.equal(first.labels, again.labels)
    assert (first.classes, first.skipped) == (again.classes, again.skipped)


def test_changed_content_is_not_taken_from_the_cache(members, tmp_path, cache):
    data = write_folder(tmp_path / "data", members)
    before = load_images(data, "train", cache=cache)
    cat, ship = (min(p for p in members if f"train/{name}" in p) for name in ("cat", "ship"))
    (data / cat).write_bytes(members[ship])
    after = load_images(data, "train", cache=cache)
    assert torch.equal(after.images[0], before.images[12])
    assert load_images(data, "train", 16, cache=cache).images.shape == (24, 3, 16, 16)


@pytest.mark.parametrize("where", [50, "labels", -50, None])
def test_a_damaged_cache_file_is_made_anew(members, tmp_path, cache, caplog, where):
    data = write_tar(tmp_path / "x.tar", members)
    good = load_images(data, "train", cache=cache)
    (kept,) = cache.iterdir()
    content = bytearray(kept.read_bytes())
    if where is None:
        del content[100:]
    elif where == "labels":  # the first tensor behind the header
        content[8 + int.from_bytes(content[:8], "little")] ^= 1
    else:
        content[where] ^= 0xFF
    kept.write_bytes(content)
    again = load_images(data, "train", cache=cache)
    assert "is damaged" in caplog.text
    assert torch.equal(again.images, good.images) and torch.equal(again.labels, good.labels)
    caplog.clear()
    load_images(data, "train", cache=cache)
    assert not caplog.text


def test_a_cache_that_cannot_be_written_is_only_a_warning(members, tmp_path, caplog):
    blocker = tmp_path / "file"
    blocker.write_text("a file where the cache folder should be")
    data = write_tar(tmp_path / "x.tar", members)
    assert_holds(load_images(data, "train", cache=blocker / "cache"), members)
    assert "could not be kept" in caplog.text


def test_processes_may_race_for_the_cache(members, tmp_path, cache):
    data = write_tar(tmp_path / "x.tar", members)
    script = (
        "import sys; from pathlib import Path; from senet_nas.data import load_images\n"
        "for _ in range(20):\n"
        "    images = load_images(sys.argv[1], 'train', cache=Path(sys.argv[2]))\n"
        "    assert len(images) == 24\n"
        "    [p.unlink(missing_ok=True) for p in Path(sys.argv[2]).glob('*.safetensors')]\n"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(data), str(cache)]
    racing = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in racing:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert list(cache.glob(".*")) == []


def test_the_default_cache_stands_in_the_xdg_folder(members, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    load_images(write_tar(tmp_path / "x.tar", members), "train")
    assert len(list((tmp_path / "xdg/senet-nas").glob("*.safetensors"))) == 1


@pytest.mark.parametrize("named", ["", "cache"])
def test_a_default_cache_is_no_relative_path(named, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", named)
    monkeypatch.setenv("HOME", "/home/someone")
    assert default_cache() == Path("/home/someone/.cache/senet-nas")


def test_cifar10_that_cannot_be_downloaded(cache, monkeypatch):
    import torchvision.datasets

    def fail(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", fail)
    with pytest.raises(InputError, match=r"could not be downloaded \(no network\)"):
        load_images("cifar10", "train", cache=cache)


def test_cifar10_is_downloaded_by_one_at_a_time(cache, monkeypatch):
    import torchvision.datasets

    inside, most = [], []

    class Slow:
        classes, targets, data = ["cat"], [0], np.zeros((1, 32, 32, 3), np.uint8)

        def __init__(self, *_, **__):
            inside.append(self)
            time.sleep(0.1)
            most.append(len(inside))
            inside.remove(self)

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Slow)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: load_images("cifar10", "train", cache=cache), range(3)))
    assert most == [1, 1, 1]


def test_unknown_split_and_size():
    with pytest.raises(InputError, match="allowed: train, test"):
        load_images(None, "validation")
    with pytest.raises(InputError, match="image_size"):
        load_images(None, "train", 0)
