"""Items for users: every score computed, or near ones found by an index."""
