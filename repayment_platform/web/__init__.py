"""What answers HTTP: the webhook receiver and the operations UI. No posting logic."""
