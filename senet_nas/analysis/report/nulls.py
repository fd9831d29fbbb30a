"""A front's null models as the page draws them."""

from __future__ import annotations

from typing import Any

from senet_nas.analysis.front import Front
from senet_nas.analysis.fronts import null_models_or_fault
from senet_nas.analysis.null_models import KIND_LABELS, training_command
from senet_nas.analysis.run_view import RunView


def nulls(view: RunView, front: Front) -> dict[str, Any]:
    """`kinds`: of each its name, how many `trials` are such networks, how many of its `twins` are
    `trained`, and the `hypervolume` of all `networks` that have scores, to the front's reference
    point; `points`: the scores of trained twins that aren't points themselves. `untrained`: how
    many twins have no scores, and the `command` that trains them. `fault`: why there are none."""
    found = null_models_or_fault(view, front)
    if found.fault is not None:
        return {"fault": found.fault}
    kinds = []
    for kind, label in KIND_LABELS.items():
        twins = [twin for twin in found.twins if twin.kind == kind and not twin.is_point]
        trained = [twin for twin in twins if twin.scores is not None]
        kinds.append(
            {
                "label": label,
                "trials": len(found.in_trials[kind]),
                "twins": len(twins),
                "trained": len(trained),
                "hypervolume": found.volumes[kind].hypervolume,
                "networks": found.volumes[kind].networks,
                "points": [{"of": twin.of} | twin.all_scores for twin in trained],
            }
        )
    left = len(found.untrained())
    return {"kinds": kinds, "untrained": left, "command": training_command(view.name)}
