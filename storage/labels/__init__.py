"""Ground truth: what became of captured rows, joined by inference id.

    items.py    a label as it is sent: JSON, JSON Lines, SageMaker's ground truth
    truths.py   which class or number it says
    labels.py   the records
    receive.py  checks labels, keeps all or none, and says how many were new; begin reading here
    files.py    labels in files of any size
    summary.py  what labels say of answers; plain data
    joined.py   traffic beside its labels, and how good the answers were

Decisions:
    Labels of rows that are not captured are kept. A request is captured some seconds after its answer, at worst when a
        server that died is found, and an outcome may be known before; it joins when the row is there. How many wait so
        is told, since many mean a wrong id.
    A label that is there is not overwritten unless that is asked for: two answers to what happened are an error in one
        of the sources. The same label again is no change, so that a file may be sent twice.
    All labels of a call are written in one transaction. They are gathered in a temporary table first, which no other
        process waits for, so that files of millions hold the write lock for seconds, and memory holds ten thousand.
"""

from storage.labels.items import LabelItem, items_of
from storage.labels.receive import Received, put_labels
from storage.labels.summary import LabelSummary, VersionQuality

__all__ = ["LabelItem", "LabelSummary", "Received", "VersionQuality", "items_of", "put_labels"]
