"""Privacy plugins."""
