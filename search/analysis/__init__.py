"""What the results mean: noise, verdicts, cautions, unstable regions, promotion."""
