"""The best trials trained anew over several seeds, compared with references, and tested once."""
