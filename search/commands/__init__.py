"""What each command does, from top to bottom; the flags are in the modules that people start."""
