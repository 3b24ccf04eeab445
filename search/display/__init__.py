"""What the terminal shows: screens, views, tallies, the summary."""
