"""Coreset plugins."""
