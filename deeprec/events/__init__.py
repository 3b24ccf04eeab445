"""A person's own data: logs of events and tables in files, read, checked, split and encoded."""
