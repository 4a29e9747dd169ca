"""The station's page: the last parts, counts, scores, and a verdict that can be read from three metres."""
