"""The raw tables of MovieLens, from an archive, a wheel, a download or TFDS, each verified."""
