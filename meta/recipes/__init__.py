"""Recipes: the training settings of each group of families."""
