"""Tests of search.tracking."""
