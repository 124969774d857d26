"""The batched simulator: many worlds of one model, stepped together."""
