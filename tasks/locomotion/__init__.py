"""Families in which a body moves itself."""
