"""Families in which a car is driven."""
