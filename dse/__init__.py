"""The design space: design points, their two views, data, training and records."""
