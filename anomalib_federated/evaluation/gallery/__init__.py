"""The test images that say most about a detector."""
