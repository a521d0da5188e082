"""The notebook that makes a run's best candidate again, step by step."""

from typing import Any

from autopilot.metrics import metric_named
from autopilot.notebooks.notebook import notebook_of
from autopilot.notebooks.subject import Subject
from autopilot.notebooks.written import fill
from storage.errors import InputError
from storage.records import Member

#: Of a table: with fewer, too few are left to draw a curve by when a fifth of them is held back.
_LEAST_JUDGED_ROWS = 200
#: Of a model's name, which gets a further word.
_MOST_NAME = 50


def candidate_of(subject: Subject) -> bytes:
    """The notebook as a file's bytes.

    A candidate of the user's own cannot be named in a file: the best member that can be is taken, and if there is none,
    the notebook looks at the published model alone.
    """
    member = best_member(subject)
    stem = f"{subject.version.name}-{subject.version.version}"
    return notebook_of(
        fill(
            "candidate.md.jinja",
            {
                "subject": subject,
                "run": subject.run,
                "card": subject.card,
                "signature": subject.signature,
                "member": member,
                "recipe": member.recipe.split()[0] if member is not None and member.recipe else None,
                "is_within": member is not None and _is_within(member),
                "step": None if member is None else _step(subject, member),
                "settings": _settings(subject, f"{stem}-rebuilt"),
                "own_metric": None if _metric(subject) == subject.run.metric else subject.run.metric,
                "is_judged": member is not None and _is_judged(subject),
                "is_replayed": _is_replayed(subject),
                "file": f"{stem}-rebuilt.onnx",
            },
        )
    )


def best_member(subject: Subject) -> Member | None:
    """The member with the best validation score, of those whose candidate autopilot knows; None if it knows none."""
    scores = {trial.number: trial.score for trial in subject.trials}
    sign = 1.0 if subject.card.scores.greater_is_better else -1.0

    def rank(member: Member) -> tuple[float, float]:
        score = scores.get(member.trial)
        return (float("-inf") if score is None else sign * score, member.weight)

    return max(_known(subject.card.members), key=rank, default=None)


def _known(members: tuple[Member, ...]) -> list[Member]:
    from autopilot.candidates import CANDIDATES

    names = {candidate.name for candidate in CANDIDATES}
    return [member for member in members if member.candidate in names]


def _is_within(member: Member) -> bool:
    """Whether its parameters are in the candidate's own ranges, so that they can be given as plain values."""
    from autopilot.candidates import choose

    try:
        choose([member.candidate], {member.candidate: member.params})
    except InputError:
        return False
    return True


def _step(subject: Subject, member: Member) -> tuple[str, str] | None:
    """A step of its features that `process` offers too, and the kind of column that it reads; None if there is none."""
    from autopilot.process import STEPS

    told = subject.card.plans.get(member.recipe, ())
    for name, op in STEPS.items():
        if any(words.startswith(f"{op.about}: ") for words in told):
            return name, op.kind
    return None


def _settings(subject: Subject, name: str) -> dict[str, Any]:
    """What `fit` is told each time, beside the table and the candidate."""
    run = subject.run
    balanced = {"weight": "balanced"} if subject.asked.balanced else {}
    return {
        "target": run.target,
        "task": run.task,
        "metric": _metric(subject),
        "budget": run.budget_s,
        "seed": run.seed,
        **subject.inferring,
        **subject.roles,
        **balanced,
        **({} if subject.checked.guarded else {"guard": False}),
        "name": f"{subject.version.name[:_MOST_NAME]}-rebuilt",
        "store": f"{name}-store",
        "progress": False,
    }


def _metric(subject: Subject) -> str:
    """The run's metric by name, or the usual one in place of the user's own."""
    try:
        return metric_named(subject.run.metric, subject.run.task, subject.signature.classes).name
    except InputError:
        return "auto"


def _is_judged(subject: Subject) -> bool:
    """Whether a fifth of the rows, or of the groups, can be held back."""
    folds = max((len(trial.fold_scores) for trial in subject.trials), default=0)
    has_groups = subject.division != "group" or folds > 2
    return has_groups and (subject.source.rows or subject.run.rows) >= _LEAST_JUDGED_ROWS


def _is_replayed(subject: Subject) -> bool:
    """Whether a replay has all that it needs: the same rows, and candidates that it can name."""
    members = subject.card.members
    return subject.source.is_whole and len(_known(members)) == len(members)
