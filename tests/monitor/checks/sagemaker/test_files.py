"""The three files of SageMaker Model Monitor, read and written.

`documented_*.json` are the shapes of its developer guide (model-monitor-byoc-statistics, -constraints and
-interpreting-violations) with values in the places of types. `changed_by_sdk.json` is what the `sagemaker` SDK made of
a file of ours: `read_with_sdk.py` tells how.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.checks.sagemaker import ConstraintsFile, ConstraintViolation, StatisticsFile, ViolationsFile
from monitor.checks.sagemaker.files import Bucket, Common, Dataset, FeatureStatistics, NumericalStatistics
from storage.baselines.sagemaker import Overrides
from storage.errors import DataError

HERE = Path(__file__).parent


def constraints(tmp_path: Path, **config: Any) -> Any:
    """A file of one column with another monitoring configuration, as read."""
    document = {
        "version": 0,
        "features": [{"name": "x", "inferred_type": "Integral", "completeness": 1}],
        "monitoring_config": config,
    }
    path = tmp_path / "constraints.json"
    path.write_text(json.dumps(document))
    return ConstraintsFile.read(path)


def test_documented_statistics_are_read() -> None:
    """Both kinds of columns, with their sketch and their levels."""
    found = StatisticsFile.read(HERE / "documented_statistics.json")
    number, text = found.features
    assert found.dataset.item_count == 3
    assert number.numerical_statistics is not None
    assert number.numerical_statistics.distribution is not None
    kll = number.numerical_statistics.distribution.kll
    assert kll is not None
    assert kll.buckets[0] == Bucket(1.0, 1.2, 2.0)
    assert kll.sketch is not None
    assert kll.sketch.data == ((1.0, 3.0, 1.0), ())
    assert text.string_statistics is not None
    assert text.string_statistics.distribution is not None
    assert text.string_statistics.distribution.categorical is not None
    assert [bucket.count for bucket in text.string_statistics.distribution.categorical.buckets] == [2, 1]


def test_documented_constraints_are_read() -> None:
    """Thresholds as in the guide's older text, with its typing error."""
    found = ConstraintsFile.read(HERE / "documented_constraints.json")
    assert found.features[0].num_constraints is not None
    assert found.features[0].num_constraints.is_non_negative
    assert found.features[1].string_constraints is not None
    assert found.features[1].string_constraints.domains == ("list of", "observed values", "for small cardinality")
    assert found.monitoring_config.distribution_constraints.comparison_method == "Simple"


def test_documented_violations_are_read() -> None:
    """A text that SageMaker wrote."""
    [found] = ViolationsFile.read(HERE / "documented_violations.json").violations
    assert found.constraint_check_type == "data_type_check"
    assert found.description.endswith("Observed: Only 99.71751412429379% of data is Integral.")


@pytest.mark.parametrize("name", ["documented_statistics", "documented_constraints", "documented_violations"])
def test_what_is_read_is_written_the_same(name: str, tmp_path: Path) -> None:
    """The same keys, values and order, in the files' own spelling."""
    read = {"statistics": StatisticsFile, "constraints": ConstraintsFile, "violations": ViolationsFile}
    source = HERE / f"{name}.json"
    read[name.removeprefix("documented_")].read(source).write(tmp_path / "written.json")
    written = (tmp_path / "written.json").read_text(encoding="utf-8")
    expected = source.read_text(encoding="utf-8").replace("comparion_method", "comparison_method")
    assert json.dumps(json.loads(written)) == json.dumps(json.loads(expected))


@pytest.mark.parametrize("method", ["Robust", "robust", "linf_robust", "LINF_ROBUST", "Linf-Robust"])
def test_each_spelling_of_a_method_is_read(method: str, tmp_path: Path) -> None:
    """The guide's table has other words than the files."""
    for key in ("comparison_method", "comparion_method"):
        found = constraints(tmp_path, distribution_constraints={key: method, "categorical_drift_method": "chi_squared"})
        assert found.monitoring_config.distribution_constraints.comparison_method == "Robust"
        assert found.monitoring_config.distribution_constraints.categorical_drift_method == "ChiSquared"
    simple = constraints(tmp_path, distribution_constraints={"comparison_method": "linf_simple"})
    assert simple.monitoring_config.distribution_constraints.comparison_method == "Simple"


@pytest.mark.parametrize("place", ["monitoringConfigOverrides", "monitoring_config_overrides", "string_constraints"])
def test_overrides_are_read_wherever_they_were_put(place: str, tmp_path: Path) -> None:
    """By hand, by the SDK, and by the SDK before it was mended."""
    own: dict[str, Any] = {"evaluate_constraints": "disabled"}
    feature: dict[str, Any] = {"name": "x", "inferred_type": "String"}
    feature[place] = {"domains": ["a"], "monitoring_config_overrides": own} if place == "string_constraints" else own
    path = tmp_path / "constraints.json"
    path.write_text(json.dumps({"version": 0.0, "features": [feature], "monitoring_config": {}}))
    assert ConstraintsFile.read(path).features[0].overrides == Overrides(evaluate_constraints="Disabled")


def test_a_file_that_the_sdk_changed_is_read() -> None:
    """`Constraints.set_monitoring(False)`, and True for one column."""
    found = ConstraintsFile.read(HERE / "changed_by_sdk.json")
    assert found.monitoring_config.evaluate_constraints == "Disabled"
    assert [f.overrides.evaluate_constraints for f in found.features if f.overrides] == ["Enabled"]


def test_other_containers_may_add_what_they_like(tmp_path: Path) -> None:
    """Keys that nobody here knows."""
    assert constraints(tmp_path, custom={"a": 1}) == constraints(tmp_path)
    path = tmp_path / "statistics.json"
    path.write_text(json.dumps({"version": 1, "dataset": {"item_count": 1, "p": 2}, "features": [], "more": []}))
    assert StatisticsFile.read(path) == StatisticsFile(version=1.0, dataset=Dataset(1), features=())


def test_numbers_that_json_lacks_are_left_out() -> None:
    """A file that cannot be read anywhere else is no use."""
    statistics = NumericalStatistics(Common(1, 0), mean=float("inf"), sum=float("nan"), min=1.0)
    written = StatisticsFile(
        dataset=Dataset(1), features=(FeatureStatistics("x", "Fractional", numerical_statistics=statistics),)
    )
    assert json.loads(written.json())["features"][0]["numerical_statistics"] == {
        "common": {"num_present": 1, "num_missing": 0},
        "min": 1.0,
    }


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "no file of SageMaker's"),
        ("[]", "Expected `object`"),
        ('{"features": [{"name": "x", "inferred_type": "Text"}]}', r"\$\.features\[0\]\.inferred_type"),
        ('{"features": [{"inferred_type": "String"}]}', "name"),
    ],
)
def test_a_file_that_is_none_is_told_with_the_place(text: str, place: str, tmp_path: Path) -> None:
    """And its path."""
    path = tmp_path / "constraints.json"
    path.write_text(text)
    with pytest.raises(DataError, match=place):
        ConstraintsFile.read(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With the system's reason."""
    with pytest.raises(DataError, match="No such file"):
        ViolationsFile.read(tmp_path / "none.json")


def test_violations_are_written_in_their_order(tmp_path: Path) -> None:
    """Unicode as it is."""
    file = ViolationsFile((ConstraintViolation("größe", "completeness_check", "…"),))
    file.write(tmp_path / "v.json")
    assert ViolationsFile.read(tmp_path / "v.json") == file
    assert "größe" in (tmp_path / "v.json").read_text(encoding="utf-8")
