"""Families of networks: a handful of named values becomes a design point; one file a family."""
