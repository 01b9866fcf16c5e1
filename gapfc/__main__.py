"""`python -m gapfc` is the same as `gapfc`."""

from gapfc.cli.main import main

if __name__ == "__main__":
    main()
