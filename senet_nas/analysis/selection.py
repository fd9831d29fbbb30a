"""Choosing a network: a point of a run's front, a published name, a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from search_space import (
    Blueprint,
    InputError,
    Retrofit,
    blueprint_from_json,
    published,
    published_names,
)
from search_space.checks import parse_assignment
from search_space.errors import one_of
from senet_nas.analysis.front import front_of
from senet_nas.nn import build_network
from senet_nas.nn.trust import check_trusted
from senet_nas.search import RunFolder, TrialRecord
from senet_nas.search.starting import start_file
from senet_nas.training import load_checkpoint
from senet_nas.training.start import Start

LARGEST_IMAGE = 2**31
SHORTEST_HASH = 4


@dataclass(frozen=True)
class Choice:
    """A network to train in full. data, image_size: those of the run it comes from. start: a file
    of weights to begin with, where its run has one."""

    label: str
    architecture: Blueprint
    data: str | None
    image_size: int | None
    out: Path
    start: Path | None = None


def read_architecture(text: str) -> Blueprint:
    """A network by published name, or from its own JSON in a file.

    Raises `InputError` naming the file and key, or the names allowed; also for a network in a
    file that can't be built.
    """
    path = Path(text)
    if path.suffix == ".json" or path.is_file():
        return _read_file(path)
    if text not in published_names():
        raise one_of("network", text, published_names())
    return published(text)


def _read_file(path: Path) -> Blueprint:
    try:
        architecture = blueprint_from_json(path.read_text(encoding="utf-8"))
        check_trusted(architecture)
        _check_built(architecture)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    except RecursionError:
        raise InputError(f"{path}: not JSON that can be read: it is nested too deeply") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return architecture


def _check_built(architecture: Blueprint) -> None:
    """Build the network, for its faults alone. Raises `InputError`."""
    try:
        with torch.device("cpu" if isinstance(architecture, Retrofit) else "meta"):
            build_network(architecture, num_classes=1, image_size=LARGEST_IMAGE)
    except (TypeError, RuntimeError, OverflowError):  # of numbers beyond 64 bits
        raise InputError("its channels or kernels are too many to count") from None


def choose(
    source: str, arch: str | None, data: str | None, out: Path | None, recipe: str
) -> Choice:
    """What to train: a run's point (its knee where `arch` names no other), or a network.

    out: by default a folder named for network and recipe, below the run's or `runs/out`.

    Raises `InputError` where there is no such run, trial or network.
    """
    path = Path(source)
    schedule = Path(recipe).stem
    if not path.is_dir():
        if arch is not None:
            raise InputError(f"--arch goes with a run's folder, and {source} is none")
        label = path.stem if path.suffix == ".json" or path.is_file() else source
        where = out or Path("runs/out") / f"retrain-{label}-{schedule}"
        return Choice(label, read_architecture(source), data, None, where)
    folder = RunFolder.open(path)
    run = folder.run_file()
    record = pick(folder.trials(), run.objectives, arch, str(path))
    space = run.space.open()
    return Choice(
        label=f"trial {record.number} ({record.architecture})",
        architecture=space.build(record.candidate),
        data=run.evaluation.data if data is None else data,
        image_size=run.evaluation.image_size,
        out=out or path / f"retrain-{record.architecture}-{schedule}",
        start=start_file(folder),
    )


def choose_start(
    source: str | None,
    arch: str | None,
    checkpoint: Path | None,
    data: str | None,
    out: Path | None,
    recipe: str,
    recipe_size: int | None,
) -> tuple[Choice, Start | None]:
    """What to train, and the weights to begin with: those of a checkpoint where one is given, also
    for classes that it doesn't know, or else the run's.

    source: None for the checkpoint's own network. recipe_size: the recipe's image size; where it
    has none, a checkpoint's images are as large as they were. Raises `InputError` as `choose` and
    `load_checkpoint` do.
    """
    if checkpoint is None:
        if source is None:
            raise InputError("name a run's folder or a network to train, or --from CHECKPOINT")
        choice = choose(source, arch, data, out, recipe)
        return choice, None if choice.start is None else Start.load(choice.start)
    held = load_checkpoint(checkpoint)
    if source is not None:
        return choose(source, arch, data, out, recipe), Start.of(held)
    label = checkpoint.parent.name if checkpoint.stem == "checkpoint" else checkpoint.stem
    where = out or Path("runs/out") / f"retrain-{label}-{Path(recipe).stem}"
    size = held.image_size if recipe_size is None else None
    return Choice(str(checkpoint), held.architecture, data, size, where), Start.of(held)


def pick(
    records: list[TrialRecord], objectives: Mapping[str, str], arch: str | None, where: str
) -> TrialRecord:
    """The trial with this number or architecture hash (or its beginning), or the knee's."""
    if arch is None:
        try:
            number = front_of(records, objectives).knee().number
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        return next(record for record in records if record.number == number)
    found = [record for record in records if str(record.number) == arch]
    if not found and len(arch) >= SHORTEST_HASH:
        found = [record for record in records if record.architecture.startswith(arch)]
    if not found:
        allowed = (
            f"a trial's number up to {max((r.number for r in records), default=0)}, or at least "
            f"{SHORTEST_HASH} digits of its architecture's hash"
        )
        raise InputError(f"{where}: no trial {arch!r} (allowed: {allowed})")
    if len({record.architecture for record in found}) > 1:
        raise InputError(f"{where}: {arch!r} begins several hashes; give more digits")
    if found[0].scores is None:
        raise InputError(f"{where}: trial {found[0].number} failed: {found[0].reason}")
    return found[0]


def write_front(folder: RunFolder) -> Path:
    """Write `front.json`: the front with each point's architecture in full."""
    from senet_nas.data import write_atomically

    run = folder.run_file()
    space = run.space.open()
    data = front_of(folder.trials(), run.objectives).to_data()
    for point in data["points"]:
        built = space.build(tuple(point["candidate"]))
        point["network"] = json.loads(built.to_json())
    path = folder.path / "front.json"
    text = json.dumps(data, indent=1) + "\n"
    write_atomically(path, lambda file: file.write_text(text, encoding="utf-8"))
    return path


def with_se(architecture: Blueprint, sets: Sequence[str]) -> Blueprint:
    """The network with `se.field=value` settings laid over every SE block that it has.

    Raises `InputError` for a field or value that SE doesn't have, and for a network without SE.
    """
    changes: dict[str, object] = {}
    for assignment in sets:
        path, value = parse_assignment(assignment)
        if len(path) != 2 or path[0] != "se":
            raise InputError(f"--set {assignment}: write it as se.field=value, such as se.r=8")
        changes[path[1]] = value
    if not changes:
        return architecture
    data = json.loads(architecture.to_json())
    if isinstance(architecture, Retrofit):
        gates = list(data["se"].values())
    else:
        groups = (data["stem"], *data["stages"], data["head"]["blocks"])
        gates = [block["se"] for blocks in groups for block in blocks if "se" in block]
    if not gates:
        raise InputError("--set: the network has no SE to change; name one that has (se_…)")
    for gate in gates:
        gate.update(changes)
    try:
        changed = blueprint_from_json(json.dumps(data))
    except TypeError as error:  # TOML's dates
        raise InputError(f"--set: {error}") from None
    _check_built(changed)
    return changed
