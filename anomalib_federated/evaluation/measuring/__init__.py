"""What is measured of a detector: from scored images to figures with intervals."""
