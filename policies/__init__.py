"""Maps from observation and adaptation to action, pure in their parameters."""
