"""Data-quality baselines: what is asked of the columns of a table, and the one that is kept for an endpoint.

What lives here: their two forms, ours (`baseline.py`) and SageMaker's `constraints.json` (`sagemaker.py`); either of
them as a document that people send (`document.py`); and the documents of a store (`baselines.py`). What may not: how a
baseline is suggested, and what a window breaks of it, which is `monitor.checks`.

Start reading at `document.py`.
"""

from storage.baselines.baseline import Baseline
from storage.baselines.document import Document, parse_document
from storage.baselines.sagemaker import ConstraintsFile

__all__ = ["Baseline", "ConstraintsFile", "Document", "parse_document"]
