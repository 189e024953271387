"""`python -m holdfast`: the same program as the command `holdfast`."""

from holdfast.cli.main import app, main

__all__ = ["app", "main"]

if __name__ == "__main__":
    main()
