"""Explanations of scores: cases, drawings, files, and how faithful they are."""
