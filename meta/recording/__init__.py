"""Episodes kept, and simulated again."""
