"""Adaptation measured beside its baselines."""
