"""Token trees: shape, growth, pruning, acceptance."""
