"""The Japanese eras."""

from __future__ import annotations

from datetime import datetime

ERAS = (  # the last first, each with its first day
    (datetime(2019, 5, 1), "令和"),
    (datetime(1989, 1, 8), "平成"),
    (datetime(1926, 12, 25), "昭和"),
    (datetime(1912, 7, 30), "大正"),
    (datetime(1868, 1, 25), "明治"),
)
