"""Why a picture got its score: cases, explanations as pictures and files, and how faithful explanations are."""
