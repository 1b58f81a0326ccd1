"""What is told to those who watch the hub: an operations page, metrics, a call to a dead-man's switch. No value of a record."""
