"""`python -m trialrun`: the same as `trialrun`."""


def main() -> None:
    from trialrun.cli import (
        main as run,
    )  # not above: a process that a run starts loads this module, and no command line

    run()


if __name__ == "__main__":
    main()
