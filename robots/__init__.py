"""What moves: robot descriptions and the batched simulator."""
