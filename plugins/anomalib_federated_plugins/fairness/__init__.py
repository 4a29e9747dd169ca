"""How a budget is shared among groups."""
