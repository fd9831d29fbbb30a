"""All that can be wrong with a supernet's run before anything is trained or written."""

from __future__ import annotations

from pathlib import Path

from search_space.coverage import coverage
from senet_nas.search.known_costs import KnownCosts
from senet_nas.search.run_file import RunFile
from senet_nas.search.weight_sharing.deriving import check_target
from senet_nas.search.weight_sharing.expected_cost import ExpectedCost
from senet_nas.search.weight_sharing.scoring import check_fits
from senet_nas.search.weight_sharing.supernet_file import SupernetCheckpoint


def check_supernet(run: RunFile, classes: tuple[str, ...]) -> None:
    """Raise `InputError` for a space that has no supernet, a checkpoint of another space or other
    images, and targets that no network reaches."""
    section = run.supernet
    assert section is not None
    space = run.space.open()
    coverage(space)
    if section.checkpoint is not None:
        loaded = SupernetCheckpoint.load(Path(section.checkpoint))
        check_fits(loaded, run.evaluation, space, classes, section.checkpoint)
    if section.targets:
        axis, known = section.axis, KnownCosts.of_run(run.evaluation, len(classes))
        of = known.of(axis)
        for target in section.targets:
            check_target(space, lambda candidate: of(space.build(candidate)), target, axis)
        ExpectedCost(space, axis, known)
