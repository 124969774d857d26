"""Team families: several robots in a world, of which each adapts by itself."""
