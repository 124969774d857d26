"""Losses that learners minimise."""
