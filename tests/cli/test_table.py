"""Tables in terminals of any width, with control characters escaped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bl_neuro.cli import output
from bl_neuro.errors import printable
from bl_neuro.text_tables import Column, columns_of, stacked, widths

EVIL = "\x1b[31mEVIL\x1b]0;pwn\x07"
HEADERS = ["layer", "", "weights", "voltage decay", "why"]
ROWS = [
    ["0", "Dense 784 -> 512", "-0.123..0.4567", "0.03003", "weights do not fit\nneither do biases"],
    ["1", "Conv", "-1.5e-05..1048576", "not bounded", ""],
]
NUMBERS = [cell for row in ROWS for cell in row[2:4]]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[int], str]:
    def at(width: int) -> str:
        monkeypatch.setattr(output, "PIPED_WIDTH", width)
        output.print_table("A title", HEADERS, ROWS, numbers_from=2, words_from=4)
        return capsys.readouterr().out

    return at


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 160])
def test_numbers_are_never_cut(width: int, printed: Callable[[int], str]) -> None:
    text = printed(width)
    assert all(number in text for number in NUMBERS)
    assert max(map(len, text.splitlines())) <= max(width, 36)
    assert "A title" in text


def test_wide_terminals_get_one_line_a_row(printed: Callable[[int], str]) -> None:
    lines = printed(160).splitlines()
    assert [word in lines[1] for word in ("layer", "weights", "voltage decay", "why")] == [True] * 4
    assert len(lines) == 3 + len(ROWS) + 1  # title, headers, rule, and a cell of two lines
    assert "weights do not fit" in lines[3]
    assert "neither do biases" in lines[4]


def test_headers_wrap_between_words_first(printed: Callable[[int], str]) -> None:
    lines = printed(68).splitlines()
    assert any("voltage" in line and "decay" not in line for line in lines)


def test_rows_are_stacked_where_they_do_not_fit(printed: Callable[[int], str]) -> None:
    lines = [line.rstrip() for line in printed(40).splitlines()]
    assert lines[1:6] == [
        "layer 0 Dense 784 -> 512",
        "  weights        -0.123..0.4567",
        "  voltage decay  0.03003",
        "  why            weights do not fit",
        "                 neither do biases",
    ]
    assert lines[6:] == ["layer 1 Conv", "  weights        -1.5e-05..1048576", "  voltage decay  not bounded"]


def test_widths_add_up() -> None:
    columns = columns_of(HEADERS, ROWS, range(2, 4))
    for width in range(10, 200):
        given = widths(columns, width)
        if given is None:
            assert width < sum(column.least for column in columns) + 2 * 4
        else:
            assert sum(given) + 2 * 4 <= width
            assert all(column.least <= width <= column.natural for column, width in zip(columns, given))


def test_a_table_without_rows_or_words() -> None:
    assert widths([Column("", (), True), Column("n", (), False)], 80) == [0, 1]
    assert stacked([Column("n", (), False)], 80) == ""


def test_words_in_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table("", ["a", "b"], [["[red]x", "[1, 2]"]])
    assert "[red]x" in capsys.readouterr().out


def test_control_sequences_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable(EVIL) == r"\x1b[31mEVIL\x1b]0;pwn\x07"
    assert printable("µ ≤ 1\n→\t\u202e\udc80") == "µ ≤ 1\n→\\t\\u202e\\udc80"
    output.say(EVIL)
    output.print_table(EVIL, ["a"], [[EVIL]])
    text = capsys.readouterr().out
    assert text.count("EVIL") == 3
    assert not {"\x1b", "\x07"} & set(text)


def test_errors_are_escaped_too(call: Callable[..., Any]) -> None:
    result = call("inspect", f"/tmp/{EVIL}.net")
    assert result.code == 2
    assert "EVIL" in result.err
    assert not {"\x1b", "\x07"} & set(result.err)


def test_spaces_that_keep_words_together_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table("A title", ["what", "interval"], [["v1", "−2.5\u00a0to\u00a0+2.5"]], words_from=1)
    output.say("in\u00a0words")
    text = capsys.readouterr().out
    assert "−2.5 to +2.5" in text
    assert "in words" in text
