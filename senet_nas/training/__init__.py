"""Training: the loop, the recipes, evaluation, checkpoints, and retraining for good."""

from senet_nas.training.assess import evaluate_checkpoint
from senet_nas.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from senet_nas.training.device import as_device
from senet_nas.training.evaluate import Accuracy, evaluate
from senet_nas.training.loop import (
    DeadlineError,
    EpochReport,
    NonFiniteLossError,
    TrainingState,
    train,
)
from senet_nas.training.precision import mixed_precision, resolve_precision
from senet_nas.training.recipe import Recipe
from senet_nas.training.recipe_files import load_recipe, recipe_from_data, recipe_names
from senet_nas.training.retrain import RetrainResult, retrain
from senet_nas.training.seeding import seeded_network

load = load_checkpoint

__all__ = [
    "Accuracy",
    "Checkpoint",
    "DeadlineError",
    "EpochReport",
    "NonFiniteLossError",
    "Recipe",
    "RetrainResult",
    "TrainingState",
    "as_device",
    "evaluate",
    "evaluate_checkpoint",
    "load",
    "load_checkpoint",
    "load_recipe",
    "mixed_precision",
    "recipe_from_data",
    "recipe_names",
    "resolve_precision",
    "retrain",
    "save_checkpoint",
    "seeded_network",
    "train",
]
