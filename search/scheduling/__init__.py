"""What runs next: samplers, seeds, the claim, heartbeats, stale trials."""
