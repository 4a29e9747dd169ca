"""Folders of anomaly maps: read from any method, written in the official layout."""
