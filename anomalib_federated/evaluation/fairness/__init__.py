"""Whether a detector serves all groups of pictures alike: figures per group, and how far they lie apart."""
