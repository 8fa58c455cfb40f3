"""Which tree to draft: chances, costs, and the choice of size."""
