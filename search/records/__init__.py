"""Plain data that every other package may hold: trials, results, events, errors."""
