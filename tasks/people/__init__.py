"""Families in which a robot works with a scripted person."""
