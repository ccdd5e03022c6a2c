"""`python -m whowas`."""

from whowas.cli import main

if __name__ == "__main__":
    main()
