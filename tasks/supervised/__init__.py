"""Supervised task families: few examples to adapt to, others to measure on."""
