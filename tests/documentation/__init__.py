"""The documentation: its reference pages are made from the code, its commands and links tested."""
