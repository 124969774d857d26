"""Arms and what they hold."""
