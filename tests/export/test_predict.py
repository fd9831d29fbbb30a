"""`senet-nas predict` says of an image what the network does, whatever file holds it; it runs no
code of a file that isn't trusted."""

import io
import json
import zipfile
from pathlib import Path

import pytest
import torch
from commands import refused, senet_nas
from exported import SUFFIXES, as_network_takes, checkpoint_of, image_file

from search_space import Architecture, Block, Stage
from senet_nas.export import export
from senet_nas.training import save_checkpoint

PROGRAMS = (".py", "_timm.py", ".pt2")


@pytest.mark.parametrize("suffix", [".safetensors", *SUFFIXES.values()])
def test_the_top_classes_of_images(suffix, taken_home):
    path, checkpoint = taken_home
    arguments = ("predict", path / f"net{suffix}", path / "wide.png", path / "high.jpg")
    trust = ["--trust"] if suffix in PROGRAMS else []
    found = senet_nas(*arguments, "--json", *trust).data()
    assert found["file"] == str(path / f"net{suffix}")
    for name, told in zip(("wide.png", "high.jpg"), found["images"], strict=True):
        with torch.no_grad():
            logits = checkpoint.network()(as_network_takes(path / name, 32))
        shares, order = logits.softmax(1)[0].topk(5)
        assert told["image"] == str(path / name)
        assert [one["name"] for one in told["top"]] == [
            checkpoint.classes[index] for index in order
        ]
        assert [one["index"] for one in told["top"]] == order.tolist()
        torch.testing.assert_close(
            torch.tensor([one["probability"] for one in told["top"]]), shares, atol=1e-3, rtol=1e-3
        )


def test_a_table_of_as_many_as_are_asked_for(taken_home):
    path, checkpoint = taken_home
    done = senet_nas("predict", path / "net.onnx", path / "wide.png", "--top", 6)
    assert done.status == 0
    assert done.stdout.count("%") == len(checkpoint.classes) == 6
    assert all(name in done.stdout for name in checkpoint.classes)
    assert done.stdout.splitlines()[0] == str(path / "wide.png")


MARKER = "the_file_was_run"


@pytest.fixture
def programs(taken_home, tmp_path):
    """Exports that make a file where they are run."""
    path, _ = taken_home
    for suffix in PROGRAMS:
        for file in path.glob(f"net{suffix.removesuffix('.py').removesuffix('.pt2')}*"):
            if file.is_file():
                (tmp_path / file.name).write_bytes(file.read_bytes())
    line = f"\nopen({str(tmp_path / MARKER)!r}, 'w').close()\n"
    for name in ("net.py", "net_timm.py"):
        with (tmp_path / name).open("a") as file:
            file.write(line)
    with_pickle(tmp_path / "net.pt2", tmp_path / MARKER)
    return tmp_path


class Opener:
    """Opens a file where it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def with_pickle(path: Path, marker: Path) -> None:
    """A program whose first weight is said to be pickled, and is something else."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    for name, content in entries.items():
        if name.endswith("weights_config.json"):
            config = json.loads(content)
            next(iter(config["config"].values()))["use_pickle"] = True
            entries[name] = json.dumps(config).encode()
        if name.endswith("weights/weight_0"):
            buffer = io.BytesIO()
            torch.save(Opener(marker), buffer)
            entries[name] = buffer.getvalue()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("suffix", PROGRAMS)
def test_a_program_is_not_run_unless_it_is_trusted(suffix, programs, taken_home, monkeypatch):
    file, image = programs / f"net{suffix}", taken_home[0] / "wide.png"
    said = refused("predict", file, image)
    assert "is a program" in said
    assert f"SENET_NAS_TRUST={file}" in said
    monkeypatch.setenv("SENET_NAS_TRUST", f"mine:net, {file}.other")
    refused("predict", file, image)
    assert not (programs / MARKER).exists()
    monkeypatch.setenv("SENET_NAS_TRUST", f"mine:net, {file}")
    senet_nas("predict", file, image)
    assert (programs / MARKER).exists()  # also of the .pt2: torch.export.load unpickles it


def test_a_damaged_image_is_named_and_nothing_printed(taken_home, tmp_path):
    path, _ = taken_home
    (tmp_path / "text.jpg").write_text("no image")
    cut = (path / "high.jpg").read_bytes()[:300]
    (tmp_path / "cut.jpg").write_bytes(cut)
    for name in ("text.jpg", "cut.jpg", "absent.png", "."):
        said = refused("predict", path / "net.onnx", path / "wide.png", tmp_path / name)
        assert str(tmp_path / name) in said
    said = refused("predict", path / "net.onnx", tmp_path / "text.jpg", tmp_path / "cut.jpg")
    assert "text.jpg" in said
    assert "cut.jpg" in said


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.onnx", None, "no such file"),
        ("net.onnx", b"not a model", "damaged"),
        ("net.pt2", b"not an archive", "not a network that predict can open"),
        ("net.py", b"print('mine')", "not a network that predict can open"),
        ("net.py", b"# senet-nas export --format python\n1 +", "weights are missing"),
        ("net.safetensors", b"\x08" * 30, "damaged"),
        ("net.txt", b"text", "not a network that predict can open"),
        ("empty.onnx", b"", "damaged"),
    ],
)
def test_what_is_no_network_is_refused(name, content, said, taken_home, tmp_path):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    message = refused("predict", file, taken_home[0] / "wide.png", "--trust")
    assert said in message
    assert str(file) in message


def test_a_program_that_fails_is_one_line(taken_home, tmp_path):
    path, _ = taken_home
    (tmp_path / "net.weights.pt").write_bytes(b"")
    (tmp_path / "net.py").write_text(
        "# senet-nas export --format python\nraise RuntimeError('first\\nsecond')\n"
    )
    said = refused("predict", tmp_path / "net.py", path / "wide.png", "--trust")
    assert str(tmp_path / "net.py") in said


def test_a_folder_without_a_network_is_refused(taken_home, tmp_path):
    assert str(tmp_path) in refused("predict", tmp_path, taken_home[0] / "wide.png")


def test_an_onnx_file_of_someone_elses_is_told_what_it_lacks(taken_home, tmp_path):
    import onnx

    model = onnx.load(taken_home[0] / "net.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "theirs.onnx")
    said = refused("predict", tmp_path / "theirs.onnx", taken_home[0] / "wide.png")
    assert "theirs.onnx: its preprocessing lacks image_size" in said


def test_an_export_is_exported_on_from_its_folder(taken_home, tmp_path):
    path, _ = taken_home
    done = senet_nas("export", path / "net-safetensors", "--format", "python", "--out",
                     tmp_path / "again.py", "--json")  # fmt: skip
    assert done.data()["agreement"] == 100


def test_real_images_of_ones_own_are_checked_with(taken_home, images, tmp_path):
    """Of another size and other classes than the network's."""
    arguments = ("--format", "safetensors", "--out", tmp_path / "net", "--json")
    data = senet_nas(
        "export", taken_home[0] / "net.safetensors", *arguments, "--data", images
    ).data()
    assert (data["images"], data["agreement"]) == (32, 100)
    said = refused(
        "export", taken_home[0] / "net.safetensors", *arguments, "--data", tmp_path / "x"
    )
    assert str(tmp_path / "x") in said


def test_the_classes_of_a_file_must_be_as_many_as_its_logits(taken_home, tmp_path):
    import onnx

    model = onnx.load(taken_home[0] / "net.onnx")
    for entry in model.metadata_props:
        if entry.key == "classes":
            entry.value = '["cat"]'
    onnx.save(model, tmp_path / "net.onnx")
    assert "not (1, 1)" in refused("predict", tmp_path / "net.onnx", taken_home[0] / "wide.png")


def test_a_checkpoint_that_names_code_is_not_run(taken_home, tmp_path):
    checkpoint = checkpoint_of(Architecture(Stage((Block("conv", 4, 4),)), ()), 16)
    save_checkpoint(tmp_path / "net.safetensors", checkpoint)
    content = (tmp_path / "net.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = json.loads(header["__metadata__"]["senet_nas"])
    about["architecture"] = {"retrofit": "antigravity:fly", "se": {}}
    header["__metadata__"]["senet_nas"] = json.dumps(about)
    text = json.dumps(header).encode()
    (tmp_path / "net.safetensors").write_bytes(
        len(text).to_bytes(8, "little") + text + content[8 + length :]
    )
    said = refused("predict", tmp_path / "net.safetensors", taken_home[0] / "wide.png")
    assert "SENET_NAS_TRUST=antigravity:fly" in said


@pytest.mark.parametrize("format_name", ["onnx", "python", "safetensors", "timm"])
def test_the_crop_of_a_recipe_travels(format_name, tmp_path):
    """`test_crop` of the recipe says how much of an image's centre is seen."""
    architecture = Architecture(Stage((Block("conv", 8, 4),)), ())
    recipe = {"recipe": {"test_crop": 0.8}}
    checkpoint = checkpoint_of(architecture, 32, ("a", "b", "c"), recipe)
    path = tmp_path / f"net{SUFFIXES[format_name]}"
    export(checkpoint, format_name, path)
    image = image_file(tmp_path / "wide.png")
    (told,) = senet_nas("predict", path, image, "--json", "--trust").data()["images"]
    with torch.no_grad():
        shares = checkpoint.network()(as_network_takes(image, 32, 0.8)).softmax(1)[0]
        other = checkpoint.network()(as_network_takes(image, 32)).softmax(1)[0]
    got = torch.tensor([one["probability"] for one in told["top"]])
    torch.testing.assert_close(got, shares.sort(descending=True).values, atol=1e-4, rtol=1e-4)
    assert float((got - other.sort(descending=True).values).abs().max()) > 1e-3
