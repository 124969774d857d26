"""Task families for robots, their parameters and splits."""
