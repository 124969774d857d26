"""Speed and results, measured on a user's machine."""
