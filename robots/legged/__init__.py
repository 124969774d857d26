"""Robots that walk and run."""
