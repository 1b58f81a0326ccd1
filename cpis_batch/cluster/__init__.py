"""What a run and the workers of a Dask cluster have to agree on. Nothing here imports Dask; `runs.cluster` does."""
