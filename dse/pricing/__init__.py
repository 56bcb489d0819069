"""Designs on machines: one or ten million, on one machine or on all of a study."""
