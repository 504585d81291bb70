"""Times in words."""

from __future__ import annotations

from hsi_ssl.durations import clock, duration


def test_times_are_told_in_the_unit_that_suits_them() -> None:
    found = [duration(s) for s in (0.42, 0.96, 1.2, 40, 89, 720, 12_600)]
    assert found == ["0.4 s", "1 s", "1 s", "40 s", "89 s", "12 min", "3.5 h"]


def test_a_clock_counts_hours_where_there_are_any() -> None:
    assert [clock(s) for s in (-1, 0.4, 7, 750, 11_100)] == [
        "0:00",
        "0:00",
        "0:07",
        "12:30",
        "3:05:00",
    ]
