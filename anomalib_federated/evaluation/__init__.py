"""Measuring detectors, comparing methods, and telling people what came out."""
