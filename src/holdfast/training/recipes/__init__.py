"""Recipes: what one training step minimizes."""
