"""Analytic cost models of accelerators for 1-D convolutional networks."""
