"""What a study is and what it has found. Knows neither torch nor Optuna."""
