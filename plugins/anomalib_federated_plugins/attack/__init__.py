"""What bad sites send, for evaluation only."""
