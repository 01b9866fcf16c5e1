"""`python -m gapfc` is the same as `gapfc`."""

from gapfc.cli import main

if __name__ == "__main__":
    main()
