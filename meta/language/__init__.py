"""Beliefs about hidden parameters, and the words for them."""
