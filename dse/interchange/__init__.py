"""Formats of other tools: what they describe becomes a design, and back."""
