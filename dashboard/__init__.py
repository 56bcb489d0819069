"""The dashboard: reads results, draws, answers. No training, no Optuna, no own arithmetic."""
