"""Captured requests asked again: of the version that answered them, or of another.

    report.py    what is asked, and what comes out: plain data
    replay.py    the loop over captured traffic; begin reading here
    same.py      the version that answered: is each row the same to the bit?
    other.py     another version: what would it have said, and would it have been better?

Decisions:
    Rows run in batches, whoever asked for them together: on most models the company changes no bit. Rows that come out
        different are run again as they were served, with the rows of their own request, in pieces of 1,000. So a replay
        is as exact as it can be on each model, and as fast as it can be on most.
    Nothing is compared with a tolerance. A model that runs on a GPU, or on a processor of another kind, may give other
        last bits; then the report tells how far they are apart.
"""

from storage.replay.report import Against, Replay, ReplaySpec, Same

__all__ = ["Against", "Replay", "ReplaySpec", "Same"]
