"""Pages beside the player, one a module."""
