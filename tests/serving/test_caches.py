"""What headers mean is remembered, and clients cannot fill the memory with them."""

from serving.caches import remembered


def test_short_headers_are_asked_for_once_and_long_ones_are_not_kept() -> None:
    """Results are the same."""
    asked: list[bytes | None] = []

    @remembered
    def length(header: bytes | None, more: int = 0) -> int:
        asked.append(header)
        return len(header or b"") + more

    assert [length(b"text/csv"), length(b"text/csv"), length(b"text/csv", 1), length(None), length(None)] == [
        8,
        8,
        9,
        0,
        0,
    ]
    assert asked == [b"text/csv", b"text/csv", None]
    asked.clear()
    assert [length(b"x" * 2000), length(b"x" * 2000)] == [2000, 2000]
    assert len(asked) == 2
