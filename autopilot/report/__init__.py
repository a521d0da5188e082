"""The report on a run: one page for people who were not there, and the figures behind it.

    evidence.py     all that a report tells, collected at a run's end and kept as a blob of at most about 2 MB
    statistics.py   from it: metrics with intervals, curves, calibration, mistakes, residuals; NumPy alone
    charts.py       Altair charts of these, for the page and for notebooks alike
    verdict.py      what it comes to, in sentences     numerals.py   numbers as people read them
    page.py         the page: one file without script, font or picture beside it
    archive.py      the evidence of the runs in a store

Collecting takes milliseconds and belongs to the run; drawing takes seconds and is done when somebody asks, from the
evidence alone. So an old run has a report, a report never spends a run's budget, and one that fails costs no model.

What may not live here: training, storage of records, and explanations: those are computed elsewhere and handed in.
Altair, Jinja and vl-convert are loaded when a page is drawn. Start reading at `evidence.py`, then `page.py`.
"""
