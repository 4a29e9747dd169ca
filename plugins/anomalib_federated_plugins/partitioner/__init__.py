"""Partitioner plugins."""
