"""The Python file of a network: of every cell and SE, plain, and safe whatever names it holds."""

import ast
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from exported import MEAN, STD, checkpoint_of
from in_every_format import imported

from search_space import SE, Architecture, Block, Head, InputError, Stage
from search_space.registry import names
from search_space.values import EXCITATIONS, PLACEMENTS, SQUEEZES
from senet_nas.export import export
from senet_nas.nn.foreign.importing import import_network
from senet_nas.training import Checkpoint, seeded_network

CELLS = names("senet_nas.nn.cells")
WIDTHS = {"dense_layer": lambda number: 16 + 4 * number}
KEEP_SIZE = ("dense", "dense_layer", "norm_act")
OPERATORS = list(itertools.product(SQUEEZES, EXCITATIONS, (False, True)))


def of_cell(cell: str) -> Architecture:
    """Blocks of a cell with every placement and, between them, every squeeze and excitation."""
    operators = itertools.cycle(OPERATORS[::5])
    blocks = []
    for number, placement in enumerate([None, *PLACEMENTS, *PLACEMENTS], start=1):
        squeeze, excitation, neutral = next(operators)
        se = placement and SE(4, placement, squeeze, excitation, neutral=neutral)
        stride = 2 if number in (2, 4) and cell not in KEEP_SIZE else 1
        channels = WIDTHS.get(cell, lambda number: 16)(number)
        blocks.append(Block(cell, channels, stride, expansion=0.5, se=se))
    return Architecture(Stage((Block("conv", 16),)), (Stage(tuple(blocks)),), norm_eps=1e-3)


def exported(architecture: Architecture, path: Path, size: int = 16) -> tuple[object, Checkpoint]:
    """The module of the file, and the checkpoint."""
    network = seeded_network(architecture, 5, size, seed=0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics that count
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
    classes = tuple("abcde")
    checkpoint = Checkpoint(architecture, network.state_dict(), classes, MEAN, STD, size)
    export(checkpoint, "python", path)
    return imported(path), checkpoint


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_with_every_se(cell, tmp_path):
    torch.manual_seed(0)
    module, checkpoint = exported(of_cell(cell), tmp_path / "net.py")
    images = torch.randn(2, 3, 16, 16)
    network = module.load()
    assert network.state_dict().keys() == checkpoint.weights.keys()
    with torch.no_grad():
        torch.testing.assert_close(network(images), checkpoint.network()(images))
    assert {type(m).__module__.split(".")[0] for m in network.modules()} <= {"torch", "net"}


def test_se_of_every_kind_is_written(tmp_path):
    """Each operator by itself, against its equation."""
    se = [SE(4, squeeze=s, excitation=e, neutral=n) for s, e, n in OPERATORS]
    blocks = tuple(Block("basic", 8, se=one) for one in se)
    architecture = Architecture(Stage((Block("conv", 8),)), (Stage(blocks),))
    module, _ = exported(architecture, tmp_path / "net.py")
    images = torch.randn(2, 8, 5, 5)
    gates = {
        "sigmoid": torch.sigmoid,
        "hard_sigmoid": torch.nn.functional.hardsigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
    }
    neutral = {
        "sigmoid": lambda u: 2 * torch.sigmoid(u),
        "hard_sigmoid": lambda u: 2 * torch.nn.functional.hardsigmoid(u),
        "tanh": lambda u: 1 + torch.tanh(u),
        "relu": lambda u: torch.relu(1 + u),
    }
    for value, block in zip(se, module.load().stages[0], strict=True):
        block.se.expand.weight.data.normal_()
        squeezed = {
            "avg": images.mean((2, 3), keepdim=True),
            "max": images.amax((2, 3), keepdim=True),
            "none": images,
        }[value.squeeze].movedim(1, -1)
        excited = block.se.expand(block.se.reduce(squeezed).relu()).movedim(-1, 1)
        gate = (neutral if value.neutral else gates)[value.excitation](excited)
        torch.testing.assert_close(block.se(images), images * gate)


def test_it_reads_as_plain_pytorch(taken_home):
    path = taken_home[0] / "net.py"
    text = path.read_text()
    tree = ast.parse(text)
    read = {n.name for node in ast.walk(tree) if isinstance(node, ast.Import) for n in node.names}
    read |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert read <= {"__future__", "sys", "pathlib", "torch", "torch.nn.functional", "PIL"}
    defined = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert {"Conv", "BasicStandard", "InvertedResidualConv3x3", "Network"} <= set(defined)
    for said in ("32 pixels", "top1: 12.5", "(N, 3, 32, 32)", "bilinear", "airplane"):
        assert said in ast.get_docstring(tree)
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length=100"]
    for file in (path, path.with_name("net_timm.py")):
        done = subprocess.run([*ruff, "--select=E,F,W,I", file], capture_output=True, text=True,
                              check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout


HOSTILE = (
    '"""\nimport os; os.mkdir("owned")\n"""',
    "it's",
    'back\\slash"',
    "{name}{{",
    "new\nline",
    "\u202eright to left",
    "\ud7ff\U0001f600",
    "%s",
)


@pytest.mark.parametrize("format_name", ["python", "timm"])
def test_names_from_a_checkpoint_are_never_code(format_name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    architecture = Architecture(Stage((Block("conv", 8, 2),)), (Stage((Block("basic", 8),)),))
    metadata = {name: name for name in HOSTILE}
    checkpoint = checkpoint_of(architecture, 16, HOSTILE, metadata)
    path = tmp_path / "net.py"
    export(checkpoint, format_name, path)
    module = imported(path)
    assert tuple(module.CLASSES) == HOSTILE
    assert not (tmp_path / "owned").exists()
    assert "\u202e" not in path.read_text()


def test_a_file_name_that_is_no_name_in_python(tmp_path):
    checkpoint = checkpoint_of(Architecture(Stage((Block("conv", 8, 2),)), ()), 16)
    for name in ('my "best" net-2.py', "2.py"):
        for format_name in ("python", "timm"):
            assert export(checkpoint, format_name, tmp_path / name).agreement == 100


OWN_WEIGHTS = '''
import torch
from torch import nn


class Scale(nn.Module):
    """A weight for each channel, and a buffer."""

    def __init__(self, channels, power):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels, 1, 1))
        self.register_buffer("offset", torch.rand(channels, 1, 1))
        self.power = power

    def forward(self, x):
        return x * self.weight ** self.power + self.offset


class Cell(nn.Module):
    """A scale between two convolutions, unless the map is small."""

    def __init__(self, block, in_channels):
        super().__init__()
        self.convs = nn.ModuleList(
            [nn.Conv2d(channels, block.channels, 1) for channels in (in_channels, block.channels)]
        )
        self.scale = Scale(block.channels, 2)

    def forward(self, x):
        x = self.scale(self.convs[0](x))
        {last}
'''


@pytest.fixture
def cell(tmp_path, monkeypatch):
    """Makes a cell of one's own."""
    import senet_nas.nn.cells as package

    monkeypatch.setattr(package, "__path__", list(package.__path__))
    monkeypatch.setenv("SENET_NAS_EXTENSIONS", str(tmp_path))

    def make(name: str, last: str) -> Architecture:
        (tmp_path / "cells").mkdir(exist_ok=True)
        (tmp_path / "cells" / f"{name}.py").write_text(OWN_WEIGHTS.replace("{last}", last))
        return Architecture(Stage((Block(name, 8),)), (Stage((Block("conv", 8),)),), Head())

    return make


def test_a_cell_of_ones_own_with_weights_of_its_own(cell, tmp_path):
    architecture = cell("scaled", "return self.convs[1](x)")
    module, checkpoint = exported(architecture, tmp_path / "net.py")
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(module.load()(images), checkpoint.network()(images))


def test_a_cell_that_cannot_be_written_is_named(cell, tmp_path):
    architecture = cell("calling", "return self.convs[1](x) if x.shape[-1] > LIMIT else x")
    path = tmp_path / "cells" / "calling.py"
    path.write_text(f"LIMIT = 4\n{path.read_text()}")
    with pytest.raises(InputError, match=r"senet_nas\.nn\.cells\.calling\.Cell can't be written"):
        exported(architecture, tmp_path / "net.py")
    assert {entry.name for entry in tmp_path.iterdir()} == {"cells"}


def test_an_imported_network_reads_alike(tmp_path):
    """Another library's network, by way of our cells, is a file of torch alone."""
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    theirs = torchvision.models.shufflenet_v2_x0_5(num_classes=4).eval()
    network, architecture = import_network(theirs, 64)
    checkpoint = Checkpoint(architecture, network.state_dict(), tuple("abcd"), MEAN, STD, 64)
    export(checkpoint, "python", tmp_path / "net.py")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        got = imported(tmp_path / "net.py").load()(images)
        torch.testing.assert_close(got, theirs(images), atol=1e-5, rtol=1e-4)
