"""The study's database, the only truth: addresses, retries, attributes, trials, results."""
