"""The command `pliant`: one file a command."""
