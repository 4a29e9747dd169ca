"""Whether explanations say what decided a score: deletion and insertion, pointing, overlap, sanity checks."""
