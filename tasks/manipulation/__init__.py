"""Families in which an arm handles something."""
