"""Explanations of scores: cases, drawings, files."""
