"""What runs next: samplers, grid, seeds, locks and the claim, heartbeats, stale trials."""

GRACE_SECONDS = 60.0  # how long a worker may be silent

BEATS_IN_GRACE = 6  # so many heartbeats does a worker write in that time
