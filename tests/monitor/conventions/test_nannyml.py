"""Our rules by NannyML's name say what NannyML 0.13.1 said of the same tables."""

import pytest

from monitor.conventions import CONVENTIONS
from tests.monitor.conventions.asked import answers_of, asked_tables, odd_columns


@pytest.mark.parametrize(("method", "chunks"), [("nannyml", "ten"), ("nannyml-window", "window")])
def test_every_verdict_is_nannymls(method: str, chunks: str) -> None:
    """All columns of all tables: the largest distance, the threshold and how many chunks alarm."""
    verdicts = []
    for answer, (checksum, columns) in zip(answers_of("nannyml")["tables"], asked_tables(), strict=True):
        assert answer["checksum"] == checksum
        findings = CONVENTIONS[method](list(columns.values()))
        for name, finding in zip(columns, findings, strict=True):
            largest, threshold, alerts = answer[chunks][name]
            if not threshold > 1e-7:  # one chunk, compared with itself: 0 or NaN, as rounding has it
                assert finding.statistic in (None, pytest.approx(largest, abs=1e-9)), name
                continue
            assert finding.statistic == pytest.approx(largest, abs=1e-9), name
            assert finding.threshold == pytest.approx(threshold, abs=1e-9), name
            assert finding.drifted == (alerts > 0), name
            assert finding.note.startswith(f"{alerts} of "), name
            verdicts.append(finding.drifted)
    assert len(verdicts) > 350
    assert 50 < sum(verdicts) < len(verdicts) - 50


@pytest.mark.parametrize("name", list(odd_columns()))
def test_odd_columns_get_nannymls_verdict_or_none(name: str) -> None:
    """Where NannyML gives up or gives no distance, there is a note instead of a verdict."""
    expected, finding = answers_of("nannyml")["odd"][name], CONVENTIONS["nannyml"]([odd_columns()[name]])[0]
    if expected is None:
        assert (finding.method, finding.drifted) == ("none", False)
        assert "NannyML" in finding.note
    else:
        largest, threshold, alerts = expected
        assert (finding.statistic, finding.threshold) == (pytest.approx(largest), pytest.approx(threshold))
        assert finding.drifted == (alerts > 0)
