"""The notebook that explores a run's table: what each column is, what is missing, what tells the target."""

from autopilot.notebooks.notebook import notebook_of
from autopilot.notebooks.subject import Subject
from autopilot.notebooks.written import fill

_SHOWN_FINDINGS = 40


def exploration_of(subject: Subject) -> bytes:
    """The notebook as a file's bytes.

    It reads the whole table, draws at most 20,000 rows for what is compared, and shows the columns that tell most:
    2,000 columns are as readable as 20.
    """
    signature = subject.signature
    times = signature.of_kind("time")
    return notebook_of(
        fill(
            "exploration.md.jinja",
            {
                "subject": subject,
                "run": subject.run,
                "signature": signature,
                "findings": subject.findings[:_SHOWN_FINDINGS],
                "more_findings": len(subject.findings[_SHOWN_FINDINGS:]),
                "clock": subject.asked.time if subject.asked.time in times else next(iter(times), None),
            },
        )
    )
