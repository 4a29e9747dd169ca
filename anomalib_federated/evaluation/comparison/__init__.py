"""Honest comparisons: statistics that say what they can show, in tables and in words."""
