"""How fast and how big: `python -m benchmarks`. Always against other tools in the same run, never against an old figure."""
