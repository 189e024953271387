"""`python -m holdfast`: the program, as the command `holdfast` runs it."""

from holdfast.cli.main import main

if __name__ == "__main__":
    main()
