"""Training and measuring: one federation, the demonstration, methods x categories x seeds."""
