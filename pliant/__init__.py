"""Robots in MuJoCo that adapt, in a few episodes, to what they have never met."""
