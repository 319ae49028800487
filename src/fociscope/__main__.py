"""`python -m fociscope`: the command line, where its script is not on the path."""

from fociscope.cli import main

if __name__ == "__main__":
    main()
