"""Learners: one file each, with its settings beside it."""
