"""`python -m trialrun`: the same as `trialrun`."""

from trialrun.cli import main

if __name__ == "__main__":
    main()
