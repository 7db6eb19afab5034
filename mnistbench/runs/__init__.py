"""A run on disk: its plan, records, predictions and sessions."""
