"""Federated visual inspection."""
