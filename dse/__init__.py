"""The design space: design points, their two views (workload and network), data, training, records."""
