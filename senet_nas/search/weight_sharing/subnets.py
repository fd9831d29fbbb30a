"""A network taken out of its run's supernet, with the weights that it was scored with."""

from __future__ import annotations

from search_space import Architecture, InputError
from senet_nas.search.run_folder import RunFolder, TrialRecord
from senet_nas.search.weight_sharing.scoring import SupernetEvaluator
from senet_nas.search.weight_sharing.training import supernet_path
from senet_nas.training import Checkpoint
from senet_nas.training.device import cpu_threads


def take_subnet(folder: RunFolder, record: TrialRecord, device: str = "cpu") -> Checkpoint:
    """A trial's network as a checkpoint that stands alone: it computes what the supernet did when
    the trial was scored, its batch norms set by the run's training images, and tuned by them where
    the run tunes its networks.

    Raises `InputError` where the run has no supernet, and for one that is missing or damaged.
    """
    run = folder.run_file()
    section = run.supernet
    if section is None or section.is_differentiable:
        raise InputError(
            f"{folder.path}: its networks were trained alone, not in a supernet; take one to an "
            "end with `senet-nas retrain`"
        )
    space, path = run.space.open(), supernet_path(section, folder.path)
    architecture = space.build(record.candidate)
    assert isinstance(architecture, Architecture)
    with cpu_threads(run.resources.cpus):  # the number of them shows in what tuning gives
        evaluator = SupernetEvaluator(run.evaluation, space, path, section, device)
        network = evaluator.network(architecture)
    about = {
        "trial": record.number,
        "validation": {name: (record.scores or {})[name] for name in ("accuracy", "loss")},
        "supernet": dict(evaluator.taught),
    }
    return Checkpoint(
        architecture,
        network.cpu().state_dict(),
        evaluator.classes,
        evaluator.mean,
        evaluator.std,
        run.evaluation.image_size,
        about,
    )
