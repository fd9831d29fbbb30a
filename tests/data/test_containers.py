"""Each container holds the same images and labels, and gives back the same."""

import io
import json
import logging
import pickle
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from layouts import link, write_folder, write_tar

from search_space import InputError
from senet_nas.data import Augmentation, Reading, load_images, splits_of, training_batches
from senet_nas.data.containers import open_data

CLASSES = ("cat", "ship")


@pytest.fixture
def index_home(tmp_path, monkeypatch):
    """Where indices of shards are kept, of few images too."""
    monkeypatch.setattr("senet_nas.data.shard_index._KEPT_FROM", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg/senet-nas"


def of_split(members, split):
    """(content, label) pairs in the order of a container that doesn't sort: classes mixed."""
    rows = [
        (content, CLASSES.index(path.split("/")[1]))
        for path, content in sorted(members.items(), key=lambda entry: entry[0][-8:])
        if path.startswith(split)
    ]
    assert len({label for _, label in rows[:4]}) == 2
    return rows


def shard(rows, first=0, kind="cls", label=str):
    files = []
    for number, (content, found) in enumerate(rows, first):
        text = label(found)
        if kind == "json":
            text = json.dumps({"label": text, "caption": "a .pyd it isn't"})
        files += [(f"{number:06}.jpg", content), (f"{number:06}.{kind}", text.encode())]
    return files


def write_shards(folder, members, **kind):
    folder.mkdir(parents=True)
    train, val = of_split(members, "train"), of_split(members, "test")
    for number, first in enumerate(range(0, len(train), 10)):
        rows = train[first : first + 10]
        write_tar(folder / f"imagenet-train-{number:04}.tar", shard(rows, first, **kind))
    write_tar(folder / "imagenet-validation-0000.tar", shard(val, **kind))
    return folder


def features(names):
    about = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
    return {b"huggingface": json.dumps({"info": {"features": about}}).encode()}


def table(rows, names=CLASSES):
    columns = {
        "image": [{"bytes": content, "path": "x.jpg"} for content, _ in rows],
        "label": pa.array([label for _, label in rows], pa.int64()),
    }
    return pa.table(columns).replace_schema_metadata(features(list(names)) if names else None)


def write_arrow(path, rows, names=CLASSES, batch=5):
    path.parent.mkdir(parents=True, exist_ok=True)
    found = table(rows, names)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, found.schema) as writer:
        writer.write_table(found, max_chunksize=batch)


def write_saved(folder, members):
    """As `DatasetDict.save_to_disk` writes it."""
    for split, own in (("train", "train"), ("validation", "test")):
        rows = of_split(members, own)
        names = [f"data-{number:05}-of-00002.arrow" for number in range(2)]
        write_arrow(folder / split / names[0], rows[:7])
        write_arrow(folder / split / names[1], rows[7:])
        state = {"_data_files": [{"filename": name} for name in names], "_format_type": None}
        (folder / split / "state.json").write_text(json.dumps(state))
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "validation"]}))
    return folder


def write_parquet(folder, members):
    """As the hub serves it."""
    (folder / "data").mkdir(parents=True)
    for split, own in (("train", "train"), ("test", "test")):
        rows = of_split(members, own)
        for number, part in enumerate((rows[:5], rows[5:])):
            file = folder / f"data/{split}-{number:05}-of-00002.parquet"
            pq.write_table(table(part), file, row_group_size=3)
    return folder


CONTAINERS = {
    "shards": write_shards,
    "json": lambda folder, members: write_shards(folder, members, kind="json", label=int),
    "names": lambda folder, members: write_shards(folder, members, label=CLASSES.__getitem__),
    "saved": write_saved,
    "parquet": write_parquet,
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_images_and_labels_come_back(members, tmp_path, cache, index_home, container):
    data = CONTAINERS[container](tmp_path / "data", members)
    assert splits_of(data) == ("train", "test")
    for _ in range(2):  # the second time with what was kept
        for split in ("train", "test"):
            found = load_images(data, split, cache=cache)
            expected = load_images(write_folder(tmp_path / "plain", members), split, cache=cache)
            numbered = container in ("shards", "json")
            assert found.classes == (("0", "1") if numbered else CLASSES)
            rows = of_split(members, split)
            assert found.labels.tolist() == [label for _, label in rows]
            assert sorted(map(image_key, found.pixels)) == sorted(map(image_key, expected.pixels))
            for label in range(2):
                mine = {image_key(image) for image in found.pixels[found.labels == label]}
                theirs = {image_key(image) for image in expected.pixels[expected.labels == label]}
                assert mine == theirs


def image_key(pixels):
    return pixels.numpy().tobytes()


@pytest.mark.parametrize("container", CONTAINERS)
def test_any_image_can_be_read_in_any_process(members, tmp_path, cache, index_home, container):
    data = CONTAINERS[container](tmp_path / "data", members)
    records = open_data(data).records("train")
    again = pickle.loads(pickle.dumps(records))  # as another process is handed them
    rows = of_split(members, "train")
    for number in (23, 0, 11, 10, 9):
        assert records.read(number) == again.read(number) == rows[number][0]
    assert [content for _, content in records.read_all()] == [content for content, _ in rows]


@pytest.mark.parametrize("container", CONTAINERS)
def test_shuffling_is_over_all_shards(members, tmp_path, cache, index_home, container):
    data = CONTAINERS[container](tmp_path / "data", members)

    def batches(folder):
        return training_batches(
            folder,
            augmentation=Augmentation(),
            batch_size=24,
            image_size=32,
            device=torch.device("cpu"),
            mean=(0, 0, 0),
            std=(1, 1, 1),
            reading=Reading("stream", 0, cache=cache),
        )

    held = load_images(data, "train", cache=cache)
    (batch,) = batches(data).epoch(0, 0)
    order = torch.randperm(24, generator=data_generator(0, 0))
    assert torch.equal(batch.labels, held.labels[order])
    assert torch.equal((batch.images * 255).round().to(torch.uint8), held.images[order])


def data_generator(seed, epoch):
    mixed = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed))


def test_class_names_stand_in_a_file_beside_the_shards(members, tmp_path, cache):
    data = write_shards(tmp_path / "data", members)
    (data / "classes.txt").write_text("cat\nship\n")
    assert load_images(data, "train", cache=cache).classes == CLASSES
    (data / "classes.txt").write_text("cat\n")
    with pytest.raises(InputError, match="labels go to 1, and there are 1 names"):
        load_images(data, "train", cache=cache)
    (data / "classes.txt").write_text("chat\nétoile\n", encoding="latin-1")
    with pytest.raises(InputError, match=r"classes\.txt: not a text file in UTF-8"):
        load_images(data, "train", cache=cache)


def test_one_shard_a_pattern_and_shards_by_split_folder(members, tmp_path, cache):
    folder = write_shards(tmp_path / "data", members)
    one = load_images(folder / "imagenet-train-0001.tar", "train", cache=cache)
    assert len(one) == 10
    both = load_images(folder / "imagenet-train-{0000..0001}.tar", "train", cache=cache)
    assert torch.equal(both.images[10:], one.images) and len(both) == 20
    with pytest.raises(InputError, match=r"no such file: .*imagenet-train-0003\.tar"):
        load_images(folder / "imagenet-train-{0000..0003}.tar", "train", cache=cache)
    for split in ("train", "val"):
        rows = of_split(members, "test" if split == "val" else split)
        (tmp_path / "by" / split).mkdir(parents=True)
        write_tar(tmp_path / "by" / split / "000.tar", shard(rows))
    assert splits_of(tmp_path / "by") == ("train", "test")


def test_shards_of_imagenets_own_kind(members, tmp_path, cache):
    for wordnet, name in (("n02121620", "cat"), ("n04194289", "ship")):
        files = {
            f"{wordnet}_{path[-8:-4]}.JPEG": content
            for path, content in members.items()
            if f"train/{name}" in path
        }
        (tmp_path / "data/train").mkdir(parents=True, exist_ok=True)
        write_tar(tmp_path / f"data/train/{wordnet}.tar", files)
    found = load_images(tmp_path / "data", "train", cache=cache)
    assert found.classes == ("n02121620", "n04194289")
    assert found.labels.bincount().tolist() == [12, 12]


def test_unlabelled_test_shards_leave_the_validation_images(members, tmp_path, cache):
    data = write_parquet(tmp_path / "data", members)
    rows = of_split(members, "test")
    pq.write_table(table(rows), data / "data/validation-00000-of-00001.parquet")
    hidden = table([(content, -1) for content, _ in rows[:3]])
    for file in (data / "data").glob("test-*"):
        file.unlink()
    pq.write_table(hidden, data / "data/test-00000-of-00001.parquet")
    assert len(load_images(data, "test", cache=cache)) == 8


@pytest.mark.parametrize("name", ["../evil.jpg", "/etc/evil.jpg", "a/../../evil.cls"])
def test_members_that_leave_their_folder_are_refused(members, tmp_path, cache, name):
    rows = of_split(members, "train")
    write_tar(tmp_path / "x-0000.tar", [*shard(rows[:3]), (name, b"0")])
    with pytest.raises(InputError, match=r"x-0000\.tar: member .* leaves its folder"):
        load_images(tmp_path / "x-0000.tar", "train", cache=cache)


def test_links_pickles_and_giants_in_shards_are_not_opened(members, tmp_path, cache, caplog):
    rows = of_split(members, "train")
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(rows[0][0])

    class Bomb:
        def __reduce__(self):
            return (secret.unlink, ())

    bombs = [(f"000001.{kind}", pickle.dumps(Bomb())) for kind in ("pyd", "pth", "pickle")]
    giant = tarfile.TarInfo("000099.cls")
    giant.type, giant.size = tarfile.SYMTYPE, 0
    giant.linkname = "/etc/passwd"
    files = [*shard(rows[:5]), *bombs, ("000098.cls", b"0"), ("000099.jpg", rows[9][0])]
    extra = [link("000098.jpg", str(secret)), giant]
    data = write_tar(tmp_path / "x-0000.tar", files, extra=extra)
    with pytest.raises(InputError, match=r"1 of 7 images have no label, as 000099\.jpg"):
        load_images(data, "train", cache=cache)
    data = write_tar(tmp_path / "x-0000.tar", files[:-1], extra=extra)
    with caplog.at_level(logging.WARNING):
        found = load_images(data, "train", cache=cache)
    assert len(found) == 5 and secret.exists()
    assert "000098.jpg (not a regular file, or too large)" in caplog.text


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("cls", b"\xff\xfe", "no label can be read"),
        ("json", b"{", "no label can be read"),
        ("json", b"[" * 100_000, "no label can be read"),
        ("cls", b" ", "no label can be read"),
        ("json", b'{"label": true}', "must be a number or a name, not True"),
        ("json", b'{"label": [1]}', r"must be a number or a name, not \[1\]"),
    ],
)
def test_labels_that_are_none(members, tmp_path, cache, kind, content, message):
    rows = of_split(members, "train")
    data = write_tar(tmp_path / "x-0.tar", [*shard(rows[:3]), (f"000001.{kind}", content)])
    with pytest.raises(InputError, match=rf"x-0\.tar: 000001\.{kind}: .*{message}"):
        load_images(data, "train", cache=cache)


def test_two_images_of_one_key_are_refused(members, tmp_path, cache):
    """A mask, or a map of depths: neither is told from the image by its name."""
    rows = of_split(members, "train")
    data = write_tar(tmp_path / "x-0.tar", [*shard(rows[:3]), ("000001.png", rows[0][0])])
    with pytest.raises(InputError, match=r"which is the image, 000001\.jpg or 000001\.png\?"):
        load_images(data, "train", cache=cache)
    data = write_tar(tmp_path / "x-0.tar", [*shard(rows[:3]), ("000001.seg.png", rows[0][0])])
    assert len(load_images(data, "train", cache=cache)) == 3


@pytest.mark.parametrize("name", ["about.json", "train/cat/about.json"])
def test_an_archive_with_a_json_file_in_it_is_no_shard(members, tmp_path, cache, name):
    data = write_tar(tmp_path / "x.tar", {name: b'{"label": "by whom"}', **members})
    assert load_images(data, "train", cache=cache).classes == CLASSES


@pytest.mark.parametrize("number", [b"1234567890", b"9" * 5000])
def test_numbers_of_many_digits_are_no_classes(members, tmp_path, cache, number):
    """There would be as many classes as the largest number says."""
    rows = of_split(members, "train")
    data = write_tar(tmp_path / "x-0.tar", [*shard(rows[:3]), ("000001.cls", number)])
    with pytest.raises(InputError, match="is no number of a class"):
        load_images(data, "train", cache=cache)
    data = write_tar(tmp_path / "x-0.tar", [*shard(rows[:3]), ("000001.cls", b"000000002")])
    assert load_images(data, "train", cache=cache).labels[1] == 2


def test_a_damaged_index_is_made_anew(members, tmp_path, cache, index_home, caplog):
    data = write_shards(tmp_path / "data", members)
    good = load_images(data, "train", cache=cache)
    for kept in index_home.glob("*.index.npz"):
        kept.write_bytes(kept.read_bytes()[:100])
    again = load_images(data, "train", cache=tmp_path / "other")
    assert torch.equal(again.images, good.images)
    assert "is damaged, shards are indexed again" in caplog.text


def test_a_shard_that_changes_is_indexed_again(members, tmp_path, cache, index_home):
    data = write_shards(tmp_path / "data", members)
    assert len(load_images(data, "train", cache=cache)) == 24
    rows = of_split(members, "train")
    write_tar(data / "imagenet-train-0002.tar", shard(rows[:2]))
    assert len(load_images(data, "train", cache=cache)) == 22


def test_damaged_tables_and_strange_columns(members, tmp_path, cache):
    data = write_saved(tmp_path / "saved", members)
    (data / "train/data-00000-of-00002.arrow").write_bytes(b"no table")
    with pytest.raises(InputError, match=r"00000-of-00002\.arrow: cannot be read as Arrow"):
        load_images(data, "train", cache=cache)
    (data / "train/state.json").write_text(json.dumps({"_data_files": [{"filename": "../x"}]}))
    with pytest.raises(InputError, match=r"'\.\./x' is no entry of its folder"):
        load_images(data, "train", cache=cache)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"x\.parquet: cannot be read as Parquet"):
        load_images(tmp_path / "x.parquet", "train", cache=cache)
    rows = of_split(members, "train")
    pq.write_table(table(rows).rename_columns(["photo", "label"]), tmp_path / "y.parquet")
    with pytest.raises(InputError, match="no column of images"):
        load_images(
            write_folder(tmp_path / "y", {"y.parquet": (tmp_path / "y.parquet").read_bytes()}),
            "train",
            cache=cache,
        )


@pytest.mark.parametrize("name", ["../other", "..", 1])
def test_splits_that_leave_their_folder_are_refused(members, tmp_path, cache, name):
    data = write_saved(tmp_path / "saved", members)
    write_saved(tmp_path / "other", members)
    (data / "dataset_dict.json").write_text(json.dumps({"splits": ["train", name]}))
    with pytest.raises(InputError, match=r"dataset_dict\.json: .* is no entry of its folder"):
        load_images(data, "train", cache=cache)


def test_splits_of_one_kind_are_put_together(members, tmp_path, cache):
    """As shards' are, by their names: none takes another's place."""
    data = write_saved(tmp_path / "saved", members)
    (data / "train").rename(data / "train_b")
    write_saved(tmp_path / "again", members)
    (tmp_path / "again/train").rename(data / "train_a")
    splits = ["train_a", "train_b", "validation"]
    (data / "dataset_dict.json").write_text(json.dumps({"splits": splits}))
    assert len(load_images(data, "train", cache=cache)) == 48


def test_shards_whose_columns_differ(members, tmp_path, cache):
    first, images = table(of_split(members, "train")), "has no column 'image', as others have"
    words = first.set_column(1, "label", pa.array(["cat"] * len(first)))
    others = {"columns 'label' differ": words, images: first.rename_columns(["photo", "label"])}
    for message, second in others.items():
        for number, each in enumerate((first, second)):
            pq.write_table(each, tmp_path / f"train-{number}.parquet")
        with pytest.raises(InputError, match=message):
            load_images(tmp_path, "train", cache=cache)


def test_columns_are_known_by_name_without_metadata_and_paths_are_not_followed(
    members, tmp_path, cache, caplog
):
    rows = of_split(members, "train")
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(rows[0][0])
    images = [content for content, _ in rows]
    plain = pa.table({"img": images, "label": [CLASSES[label] for _, label in rows]})
    pq.write_table(plain, tmp_path / "plain.parquet")
    found = load_images(tmp_path / "plain.parquet", "train", cache=cache)
    assert found.classes == CLASSES and len(found) == 24
    cells = [{"bytes": content, "path": None} for content, _ in rows]
    cells[2] = {"bytes": None, "path": str(secret)}
    cells[3] = None
    labels = [label for _, label in rows]
    pq.write_table(pa.table({"image": cells, "label": labels}), tmp_path / "cells.parquet")
    found = load_images(tmp_path / "cells.parquet", "train", cache=cache)
    assert found.skipped == ("row 2 (a path and no content)", "row 3 (no content)")


@pytest.mark.parametrize("kind", ["kaggle", "caffe", "numbers", "tensorflow"])
@pytest.mark.parametrize("archive", [False, True])
def test_imagenets_flat_validation_folder(members, tmp_path, cache, kind, archive):
    ids = {"cat": "n02121620", "ship": "n04194289"}
    files = {
        f"train/{ids[path.split('/')[1]]}/{path[-8:]}": content
        for path, content in members.items()
        if path.startswith("train")
    }
    rows, lines = of_split(members, "test"), []
    for number, (content, label) in enumerate(rows, 1):
        name, wordnet = f"ILSVRC2012_val_{number:08}", ids[CLASSES[label]]
        files[f"val/{name}.JPEG"] = content
        lines.append(
            {
                "kaggle": f"{name},{wordnet} 1 2 3 4 {wordnet} 5 6 7 8",
                "caffe": f"{name}.JPEG {wordnet}",
                "numbers": f"{name}.JPEG {label}",
                "tensorflow": wordnet,
            }[kind]
        )
    if kind == "kaggle":
        lines = ["ImageId,PredictionString", *reversed(lines)]
    file = {
        "kaggle": "LOC_val_solution.csv",
        "tensorflow": "imagenet_2012_validation_synset_labels.txt",
    }.get(kind, "val/val.txt")
    with_labels = files | {file: "\n".join(lines).encode()}
    if archive:
        data = write_tar(tmp_path / "x.tar", with_labels)
    else:
        data = write_folder(tmp_path / "x", with_labels)
    found = load_images(data, "test", cache=cache)
    assert found.classes == tuple(ids.values())
    assert sorted(found.labels.tolist()) == sorted(label for _, label in rows)
    expected = {image_key(decoded(content)): label for content, label in rows}
    assert {
        image_key(image): int(label)
        for image, label in zip(found.pixels, found.labels, strict=True)
    } == expected
    if not archive:
        (data / file).unlink()
        with pytest.raises(InputError, match=r"val_00000001\.JPEG lies in no class"):
            load_images(data, "test", cache=cache)


def decoded(content):
    from PIL import Image

    return torch.from_numpy(np.array(Image.open(io.BytesIO(content)).convert("RGB")))


def test_a_container_of_a_users_own(members, tmp_path, cache, monkeypatch):
    (tmp_path / "own/containers").mkdir(parents=True)
    (tmp_path / "own/containers/listed.py").write_text(
        "from senet_nas.data.containers.files import Files\n"
        "from senet_nas.data.sources import Folder\n"
        "def opened(path):\n"
        "    listed = path.suffix == '.list'\n"
        "    return Files(Folder(path.parent / path.read_text())) if listed else None\n"
    )
    write_folder(tmp_path / "images", members)
    (tmp_path / "x.list").write_text("images")
    with pytest.raises(InputError, match="is no folder and no archive"):
        load_images(tmp_path / "x.list", "train", cache=cache)
    monkeypatch.setenv("SENET_NAS_EXTENSIONS", str(tmp_path / "own"))
    assert len(load_images(tmp_path / "x.list", "train", cache=cache)) == 24
