"""`python -m scaffolder` is the command `rl-scaffolder`."""

from scaffolder.cli import main

if __name__ == "__main__":
    main()
