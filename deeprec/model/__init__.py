"""The two towers and the retrieval model, as Keras models, and their files."""
