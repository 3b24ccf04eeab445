"""The study file and the command line: sections, strategies, the space, addresses, folders."""
