"""What is asked of a robot: task families, their parameters and splits."""
