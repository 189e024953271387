"""Recipes define what a training step minimizes. Each file has one recipe, with its source and its cost."""

from holdfast.training.recipes.adversarial import Adversarial
from holdfast.training.recipes.autoencoder import Autoencoder
from holdfast.training.recipes.base import Recipe, recipe_from_dict, recipe_names
from holdfast.training.recipes.block_votes import BlockVotes
from holdfast.training.recipes.cascade import Cascade
from holdfast.training.recipes.consistency import Consistency
from holdfast.training.recipes.convex import Convex
from holdfast.training.recipes.denoise import Denoise
from holdfast.training.recipes.dimension import DimensionTraining
from holdfast.training.recipes.distillation import Distillation
from holdfast.training.recipes.intervals import Intervals
from holdfast.training.recipes.lipschitz_margin import LipschitzMargin
from holdfast.training.recipes.macer import Macer
from holdfast.training.recipes.magnet import TrainMagNet
from holdfast.training.recipes.memorize import Memorize
from holdfast.training.recipes.mixture import Mixture
from holdfast.training.recipes.noise import NoiseAugmentation
from holdfast.training.recipes.projection import ProjectionTraining
from holdfast.training.recipes.prototypes import PrototypeTraining
from holdfast.training.recipes.smoothadv import SmoothAdv
from holdfast.training.recipes.squeezing import Squeezing
from holdfast.training.recipes.stability import Stability
from holdfast.training.recipes.standard import Standard
from holdfast.training.recipes.synthesis import Synthesis
from holdfast.training.recipes.vote_margin import VoteMargin

__all__ = [
    "Adversarial",
    "Autoencoder",
    "BlockVotes",
    "Cascade",
    "Consistency",
    "Convex",
    "Denoise",
    "Distillation",
    "DimensionTraining",
    "Intervals",
    "LipschitzMargin",
    "Macer",
    "Memorize",
    "Mixture",
    "NoiseAugmentation",
    "ProjectionTraining",
    "PrototypeTraining",
    "Recipe",
    "SmoothAdv",
    "Squeezing",
    "Stability",
    "Standard",
    "Synthesis",
    "TrainMagNet",
    "VoteMargin",
    "recipe_from_dict",
    "recipe_names",
]
