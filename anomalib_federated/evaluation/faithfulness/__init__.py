"""How faithful a detector's explanations are: figures per method with intervals, and their file."""
