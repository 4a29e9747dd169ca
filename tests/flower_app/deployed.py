"""The plants of the tests beside this file."""

PLANTS = {"plant-a": "pipe_staple", "plant-b": "tank_screw"}
"""What each makes."""
SIDE = 64
"""Side to which pictures are resized."""
