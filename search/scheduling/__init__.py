"""What runs next: samplers, grid, seeds, locks and the claim, heartbeats, stale trials."""

GRACE_SECONDS = 60.0
"""How long a worker may be silent."""

BEATS_IN_GRACE = 6
"""So many heartbeats does a worker write in that time."""
