"""The standard streams of a program that was started without them: by `<&-`, as a daemon, by some job schedulers."""

import os


def open_streams() -> None:
    """Open those that are closed on the null device. Called by a program before it opens anything.

    Else the next files to be opened take their numbers, and whoever knows a stream by its number uses those: with
    something else than a stream as standard input, vl-convert draws no chart.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
