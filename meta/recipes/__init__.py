"""How each group of families is trained."""
