"""Worlds as other libraries see them."""
