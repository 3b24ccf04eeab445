"""A study as a command was given it: file, flags, folders, locks; its identity and tracker."""
