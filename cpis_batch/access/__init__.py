"""Who looked at whose children: access events from the national service in, a report to each authority out."""
