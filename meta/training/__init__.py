"""Training runs: configuration, loop, folder, checkpoints."""
