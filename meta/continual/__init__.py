"""Lifelong learning: streams of tasks, and the agents that live them."""
