"""A model with a head is exact as a whole, and serves as one without does."""

import msgspec
import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, f1_score

from autopilot.candidates.candidate import Candidate, Job, Problem
from autopilot.candidates.extra_trees import ExtraTrees
from autopilot.candidates.linear import Linear
from autopilot.candidates.random_forest import RandomForest
from autopilot.deadline import Deadline
from autopilot.graph.calibration import Balance, Beta, Head, Succession, Temperature, Threshold
from autopilot.graph.conformal import Interval, Sets
from autopilot.graph.parity import TOLERANCE, measure, passes
from autopilot.model import TrainedMember, TrainedModel
from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.search.matrices import Unit
from autopilot.table.infer import Table, infer
from storage import Predictor
from storage.boundary import blocks_of_frame
from storage.packed import pack
from storage.predictor import open_session
from storage.records import Parity
from storage.signature import BLOCKS
from tests import portable, tables

BINARY = infer(tables.mixed(400), "paid")
MULTICLASS = infer(tables.multiclass(400), "grade")
REGRESSION = infer(tables.regression(400), "price")

Trained = tuple[TrainedModel, NDArray[np.float64], NDArray[np.float64]]
LINEAR: tuple[Candidate, ...] = (Linear(), Linear())
FORESTS: tuple[Candidate, ...] = (ExtraTrees(), RandomForest())


def train(table: Table, candidates: tuple[Candidate, ...]) -> Trained:
    """Members of equal weight, trained on half the rows; their average for the others, and what these are."""
    outputs = max(1, len(table.signature.classes))
    unit = Unit() if outputs > 1 else Unit(float(table.y.mean()), float(table.y.std()))
    y = unit.scale(table.y)
    half = table.frame.height // 2
    problem = Problem(table.signature.task, outputs, half)
    plans, parts, members = {}, [], []
    for seed, candidate in enumerate(candidates):
        plan, X = Plan.fit(table.frame[:half], table.signature, candidate.recipe, Target(y[:half], outputs), seed=0)
        params = candidate.points(problem)[seed % len(candidate.points(problem))]
        fitted = candidate.fit(Job(X, y[:half], None, None, params, 60, Deadline.after(60), seed, problem))
        plans[candidate.recipe] = plan
        members.append(TrainedMember(fitted, candidate.recipe, 1 / len(candidates)))
        parts.append(fitted.predict(plan.features(table.frame[half:])))
    return TrainedModel(table.signature, plans, tuple(members), unit), np.mean(parts, axis=0), table.y[half:]


@pytest.fixture(scope="module")
def trained() -> dict[str, Trained]:
    """Linear models of each task, and forests."""
    return {
        "binary": train(BINARY, LINEAR),
        "multiclass": train(MULTICLASS, LINEAR),
        "regression": train(REGRESSION, LINEAR),
        "binary forests": train(BINARY, FORESTS),
        "multiclass forests": train(MULTICLASS, FORESTS),
        "regression forests": train(REGRESSION, FORESTS),
    }


TABLES = {"binary": BINARY, "multiclass": MULTICLASS, "regression": REGRESSION}


def head_of(kind: str, average: NDArray[np.float64], y: NDArray[np.float64], unit: Unit) -> Head:
    """Fitted on rows that the members had not seen."""
    if kind == "interval":
        return Head(interval=Interval.fit(unit.unscale(average)[:, 0], y, 0.9, ranges=3))
    if kind == "threshold":
        return Head(threshold=Threshold.fit(average, y, lambda labels: f1_score(y, labels)))
    if kind == "balance":
        return Head(threshold=Balance.fit(average, y, lambda labels: balanced_accuracy_score(y, labels)))
    if kind == "succession":
        return Head(Succession.of(len(y)))
    if kind == "sets":
        return Head(sets=Sets.fit(average, y))
    calibration = (Temperature if kind == "temperature" else Beta).fit(average, y)
    return Head(calibration, sets=Sets.fit(calibration.apply(average), y))


def measured(model: TrainedModel, kind: str) -> Parity:
    """By the gate that models are published through."""
    return measure(model, model.export().SerializeToString(), TABLES[kind.partition(" ")[0]].frame, seed=0)


@pytest.mark.parametrize(
    ("model", "head"),
    [
        ("binary", "succession"),
        ("binary", "temperature"),
        ("binary", "beta"),
        ("binary", "threshold"),
        ("binary", "sets"),
        ("binary forests", "temperature"),
        ("binary forests", "beta"),
        ("binary forests", "threshold"),
        ("multiclass", "temperature"),
        ("multiclass", "balance"),
        ("multiclass", "sets"),
        ("multiclass forests", "succession"),
        ("multiclass forests", "temperature"),
        ("multiclass forests", "balance"),
        ("regression", "interval"),
        ("regression forests", "interval"),
    ],
)
def test_each_head_passes_the_gate(trained: dict[str, Trained], model: str, head: str) -> None:
    """On real rows and hostile ones, forests in the blend too, whose float32 sums a steep head would enlarge."""
    plain, average, y = trained[model]
    found = measured(plain._replace(head=head_of(head, average, y, plain.unit)), model)
    assert passes(found), found


@pytest.mark.parametrize("kind", [Temperature, Beta])
def test_forests_that_were_sure_and_wrong_pass_the_gate(trained: dict[str, Trained], kind: type) -> None:
    """Every fifth row is of the other class than the trees say: the best curve without a floor is too steep."""
    plain, average, y = trained["binary forests"]
    wrong = np.where(np.arange(len(y)) % 5 == 0, 1 - average.argmax(axis=1), average.argmax(axis=1)).astype(np.float64)
    sure = np.round(average)
    model = plain._replace(head=Head(kind.fit(sure, wrong)))
    assert model.head.calibration is not None
    assert model.head.calibration.floor > 1e-6
    assert passes(measured(model, "binary"))


def test_calibration_changes_probabilities(trained: dict[str, Trained]) -> None:
    """And nothing else where it is a temperature."""
    plain, average, y = trained["multiclass"]
    model = plain._replace(head=head_of("temperature", average, y, plain.unit))
    found, before = model.predict(MULTICLASS.frame), plain.predict(MULTICLASS.frame)
    assert not np.array_equal(found.probabilities, before.probabilities)
    assert np.array_equal(found.label, before.label)


def test_a_threshold_moves_labels_alone(trained: dict[str, Trained]) -> None:
    """The label is the second class exactly where its probability reaches the threshold, in the file too."""
    plain, _, _ = trained["binary"]
    model = plain._replace(head=Head(threshold=Threshold(0.3)))
    found, before = model.predict(BINARY.frame), plain.predict(BINARY.frame)
    assert found.probabilities is not None
    assert np.array_equal(found.probabilities, np.asarray(before.probabilities))
    reached = found.probabilities[:, 1] >= np.float32(0.3)
    assert np.array_equal(found.label == "yes", reached)
    assert not np.array_equal(found.label, before.label)
    label, probabilities = run(model.export(), BINARY, ["label", "probabilities"])
    assert np.array_equal(label == "yes", probabilities[:, 1] >= np.float32(0.3))


def test_a_threshold_and_sets_stand_on_the_calibrated_probability(trained: dict[str, Trained]) -> None:
    """Calibration first, decision then, in all renderings; the set holds the label that was decided on."""
    plain, average, y = trained["binary"]
    head = replace(head_of("beta", average, y, plain.unit), threshold=Threshold(0.6))
    model = plain._replace(head=head)
    assert passes(measured(model, "binary"))
    found = model.predict(BINARY.frame)
    shares = np.asarray(found.probabilities)
    assert np.array_equal(found.label == "yes", shares[:, 1] >= np.float32(0.6))
    assert np.array_equal(found.set, head.sets.apply(shares, (found.label == "yes").astype(int)))
    answers = Predictor(with_metadata(model)).predict(BINARY.frame, interval=True)
    assert answers["label"].to_list() == found.label.tolist()
    assert all(label in names for label, names in answers.select("label", "set").iter_rows())


def run(file: onnx.ModelProto, table: Table, names: list[str]) -> list[NDArray[np.float64]]:
    """Outputs of the portable file for all rows."""
    blocks = blocks_of_frame(table.signature, table.frame)
    feeds = {
        name: getattr(blocks, block)[:, [index]]
        for block in BLOCKS
        for index, name in enumerate(table.signature.block(block))
    }
    return open_session(file.SerializeToString()).run(names, feeds)


def with_metadata(model: TrainedModel) -> bytes:
    """A file that a Predictor opens."""
    file = model.export()
    texts = {"signature": model.signature, "card": portable.card(model.signature.task)}
    onnx.helper.set_model_props(file, {key: msgspec.json.encode(value).decode() for key, value in texts.items()})
    return file.SerializeToString()


def test_an_interval_leaves_beside_the_prediction(trained: dict[str, Trained]) -> None:
    """[N, 2], around the prediction, equal to what the head gives; it holds nine of ten values."""
    plain, average, y = trained["regression"]
    model = plain._replace(head=head_of("interval", average, y, plain.unit))
    prediction, interval = run(model.export(), REGRESSION, ["prediction", "interval"])
    assert model.head.interval is not None
    assert interval.tolist() == model.head.interval.apply(prediction[:, 0]).tolist()
    assert interval.mean(axis=1) == pytest.approx(prediction[:, 0])
    inside = (interval[:, 0] <= REGRESSION.y) & (REGRESSION.y <= interval[:, 1])
    assert inside[len(inside) // 2 :].mean() == pytest.approx(0.9, abs=0.03)


def test_the_gate_sees_an_interval_or_a_set_that_differs(trained: dict[str, Trained]) -> None:
    """A file with other widths, or other cuts, than the model that it is held against is refused."""
    plain, average, y = trained["regression"]
    model = plain._replace(head=head_of("interval", average, y, plain.unit))
    assert model.head.interval is not None
    wider = replace(model.head.interval, half_widths=tuple(1.001 * width for width in model.head.interval.half_widths))
    file = model._replace(head=Head(interval=wider)).export().SerializeToString()
    assert measure(model, file, REGRESSION.frame, seed=0).max_abs_diff > TOLERANCE

    plain, _, _ = trained["multiclass"]
    model = plain._replace(head=Head(sets=Sets(0.9, (0.2, 0.2, 0.2))))
    file = plain._replace(head=Head(sets=Sets(0.9, (0.2, 0.21, 0.2)))).export().SerializeToString()
    found = measure(model, file, MULTICLASS.frame, seed=0)
    assert (found.max_abs_diff <= TOLERANCE, found.label_flips > 0) == (True, True)


def test_a_row_on_an_edge_or_a_cut_may_fall_on_either_side(trained: dict[str, Trained]) -> None:
    """As for labels, what lies nearer than the tolerance has no right side: the gate does not count it."""
    plain, _, _ = trained["regression"]
    prediction = float(plain.predict(REGRESSION.frame[:1]).prediction[0])
    heads = [Head(interval=Interval(0.9, (edge,), (1.0, 9.0))) for edge in (prediction, np.nextafter(prediction, -1e9))]
    model, other = (plain._replace(head=head) for head in heads)
    assert passes(measure(model, other.export().SerializeToString(), REGRESSION.frame[:1], seed=0))

    plain, _, _ = trained["binary"]
    share = plain.predict(BINARY.frame[:1]).probabilities[0].min()
    heads = [Head(sets=Sets(0.9, (float(cut),) * 2)) for cut in (share, np.nextafter(share, np.float32(1)))]
    model, other = (plain._replace(head=head) for head in heads)
    assert passes(measure(model, other.export().SerializeToString(), BINARY.frame[:1], seed=0))


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_without_a_head_the_file_has_no_more_outputs_than_before(trained: dict[str, Trained], kind: str) -> None:
    """`interval` and `set` are there only where there is one."""
    outputs = [output.name for output in trained[kind][0].export().graph.output]
    assert outputs == (["prediction"] if kind == "regression" else ["label", "probabilities"])


@pytest.mark.parametrize(("kind", "head"), [("binary", "beta"), ("multiclass", "sets"), ("regression", "interval")])
def test_usual_answers_do_not_wait_for_an_interval(trained: dict[str, Trained], kind: str, head: str) -> None:
    """The sister without it is the sister of a model that never had one, node for node: onnxruntime would run them."""
    plain, average, y = trained[kind]
    fitted = head_of(head, average, y, plain.unit)
    extra = "interval" if kind == "regression" else "set"
    widths = {block: len(plain.signature.block(block)) for block in BLOCKS}
    with_extra = plain._replace(head=fitted).export().SerializeToString()
    without = plain._replace(head=replace(fitted, interval=None, sets=None)).export().SerializeToString()
    left = onnx.load_from_string(pack(with_extra, widths, without=extra)).graph
    expected = onnx.load_from_string(pack(without, widths)).graph
    assert [(node.op_type, *node.input, *node.output) for node in left.node] == [
        (node.op_type, *node.input, *node.output) for node in expected.node
    ]
    assert [output.name for output in left.output] == [output.name for output in expected.output]
