"""Robots, and the batched simulator that moves them."""
