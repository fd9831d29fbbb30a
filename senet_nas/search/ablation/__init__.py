"""Ablations: variants of one network, each trained from several seeds, compared in pairs."""

from senet_nas.search.ablation.definition import AblationFile, PaperFigures, load_ablation
from senet_nas.search.ablation.estimate import AblationEstimate, estimate
from senet_nas.search.ablation.progress import AblationProgress
from senet_nas.search.ablation.running import Outcome, Results, ablate, results

__all__ = [
    "AblationEstimate",
    "AblationFile",
    "AblationProgress",
    "Outcome",
    "PaperFigures",
    "Results",
    "ablate",
    "estimate",
    "load_ablation",
    "results",
]
