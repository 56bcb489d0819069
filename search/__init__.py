"""Searches: Optuna proposes design points, `dse` prices and trains them. Nobody imports this."""
