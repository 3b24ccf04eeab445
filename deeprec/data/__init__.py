"""Feature tables, interactions, splits, and the prepared arrays in the cache."""
