"""A study opened: its file, its data, its folders, its database, its tracking."""
