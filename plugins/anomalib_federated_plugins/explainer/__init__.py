"""Why a picture got its score."""
