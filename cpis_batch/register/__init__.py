"""The national register: one encrypted Parquet part by LA, a history of two times, and the rules by which it changes."""
