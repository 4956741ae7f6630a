"""Stores that keep nothing beyond the process, for an instance that moves no money."""
