"""Patterns of the dates and times in messages. They are compiled as verbose patterns, so their blanks have no meaning."""

from __future__ import annotations

_WEEKDAY = r"(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat)"
_WEEKDAY_LONG = r"(?:Sunday|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday)"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_ZONE_NAME = r"(?:UT|GMT|[ECMP](?:ST|DT)|[A-IK-Z])"
_ZONE = rf"(?:[-+]\d{{2}}[0-5]\d|{_ZONE_NAME})"

RFC_1123 = rf"{_WEEKDAY},\s\d{{1,2}}\s{_MONTH}\s\d{{2,4}}\s\d{{1,2}}:\d{{1,2}}(?::\d{{1,2}})?\s{_ZONE}"
"""Mon, 02 Jan 2006 15:04:05 -0700: RFC 822, RFC 1123."""

LONG = rf"(?:{_WEEKDAY}\s)?{_MONTH}\s[0-3]\d,\s\d{{2,4}}"
"""Mon Jan 02, 1999."""

RFC_850 = rf"{_WEEKDAY_LONG},\s\d{{2}}-{_MONTH}-\d{{2}}\s\d{{2}}:\d{{2}}:\d{{2}}\s{_ZONE}"
"""Monday, 02-Jan-06 15:04:05 MST."""

RFC_3339 = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z?(?:[-+]?\d{2}:\d{2})?"
"""2006-01-02T15:04:05.999Z07:00."""

DATETIME = r"\d{4}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])\s(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?"
"""2006-01-02 15:04:05.123, also without the dashes."""

KITCHEN = r"\d{1,2}:\d{2}(?::\d{2})?(?:[aApP][Mm])?"
"""3:04PM."""

DATE = r"\d{4}-[01]\d-[0-3]\d"
TIME = r"[0-2]\d:[0-5]\d:[0-5]\d"

ASCTIME = rf"\b(?:{_WEEKDAY}\s+)?{_MONTH}\s+\d{{1,2}}\s+\d{{2}}:\d{{2}}:\d{{2}}\s+\d{{4}}"
"""Wed Apr 17 22:31:45 2019."""

RFC_2822 = (
    rf"\b(?:{_WEEKDAY},\s+)?(?:0[1-9]|[12]?\d|3[01])\s+{_MONTH}\s+(?:19\d{{2}}|[2-9]\d{{3}})"
    rf"\s+(?:2[0-3]|[01]\d):[0-5]\d(?::(?:60|[0-5]\d))?\s+{_ZONE}"
)
"""Thu, 4 Jul 2019 12:30 GMT, with any run of blanks."""

PYTHON = r"datetime.datetime\((?=.*\))[^)]*+\)"
"""The `repr` of a datetime, up to the first closing bracket on the same line."""

START = r"[SMTWFJAOND][a-z][a-z]|datetime"
"""The beginnings of the patterns that do not begin with a digit."""

ANY = f"{RFC_1123}|{LONG}|{RFC_850}|{RFC_3339}|{DATETIME}|{KITCHEN}|{DATE}|{TIME}|{ASCTIME}|{RFC_2822}|{PYTHON}"
"""All patterns, in the order in which they are tried."""
