"""`python -m holdfast`: the program, as the command `holdfast` runs it."""

from holdfast.cli.main import app, main

__all__ = ["app", "main"]

if __name__ == "__main__":
    main()
