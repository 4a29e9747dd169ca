"""Choosing rows that stand for all: budgets, distances, greedy selection, and rows that may be larger than memory."""
