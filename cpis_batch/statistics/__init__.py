"""Published statistics: counts, disclosure control, the guard against earlier releases, and their forms."""
