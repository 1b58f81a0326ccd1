"""Fuzzing for a fixed budget: what partners send, mutated, given to everything that reads it. `make fuzz` is the long form."""
