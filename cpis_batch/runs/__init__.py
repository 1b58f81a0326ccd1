"""The use cases, and the only place that sequences effects: the night, a fortnight's release, decisions, repairs."""
