"""Scripted people, of simple shapes."""
