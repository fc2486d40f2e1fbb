"""`python -m nlptl` and `accelerate launch -m nlptl` are the `nlptl` command."""

from nlptl.cli import main

if __name__ == "__main__":
    main()
