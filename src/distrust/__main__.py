"""`python -m distrust` is `distrust`."""

from distrust.cli import main

if __name__ == "__main__":
    main()
