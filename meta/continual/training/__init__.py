"""Training on a task distribution in pieces: what to keep of earlier ones."""
