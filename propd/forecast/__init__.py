"""What the planner would do: forecasts from costs and accuracies, without a model."""
