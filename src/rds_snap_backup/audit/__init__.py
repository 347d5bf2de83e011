"""The Audit function: what would go wrong at the next trigger. It submits nothing."""
