"""`python -m cpis_batch` is `cpis-batch`."""

from cpis_batch.cli import main

if __name__ == "__main__":
    main()
