"""Solid objects: their geometry, their mass properties, and where they come from."""
