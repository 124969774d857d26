"""A library of earlier tasks: what an agent keeps of them, and finds again."""
