"""Heads: what guesses the next tokens, and what prunes the guesses after a few layers."""
