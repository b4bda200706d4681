"""Tables fit the terminal, and no word in them is ever broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from dure.cli.tables import GAP, Column, field_lines, fold, table_lines

ID = "wl_01M813F4QTFJTETX246PX6MDMP.00002"
JOBS = [
    Column("식별자", keep=True),
    Column("이름", slug=True),
    Column("상태", keep=True),
    Column("시도", right=True, spare=1),
    Column("사유"),
]
ROWS = [
    [
        ID,
        "too-big-for-any-node-in-the-whole-farm",
        "대기",
        "0",
        "워커 하나가 64코어를 요청했지만 가장 큰 노드에 2코어가 있습니다",
    ],
    [ID, "train", "실행 중", "12", ""],
]


def shown(columns: list[Column], rows: list[list[str]], width: int) -> str:
    return "\n".join(line.text for line in table_lines(columns, rows, width))


@pytest.mark.parametrize("width", [80, 100, 200])
def test_every_line_fits_and_ids_stand_whole(width: int) -> None:
    told = shown(JOBS, ROWS, width)
    assert max(cell_len(line) for line in told.splitlines()) <= width
    assert told.count(ID) == 2
    assert "대기" in told
    assert "실행 중" in told


def test_a_wide_terminal_shows_more() -> None:
    assert "시도" not in shown(JOBS, ROWS, 80)
    assert "시도" in shown(JOBS, ROWS, 200)
    assert len(shown(JOBS, ROWS, 200).splitlines()) == 3


def test_columns_stand_under_each_other_in_double_width() -> None:
    lines = shown(JOBS, ROWS, 200).splitlines()
    starts = {cell_len(line[: line.index(word)]) for line, word in zip(lines, ("이름", "too-big", "train"), strict=True)}
    assert len(starts) == 1


def test_what_cannot_stand_side_by_side_becomes_a_list_of_values_beside_their_names() -> None:
    columns = [Column("Award", keep=True), Column("Project", keep=True), Column("Programme", keep=True)]
    rows = [["award_01M813F11YAF587PEHG5F08D98", "steel-surface-defect-ai-" + "x" * 20, "call-2026-ai-voucher"]] * 2
    told = shown(columns, rows, 80)
    assert told.splitlines()[0] == "Award      award_01M813F11YAF587PEHG5F08D98"
    assert told.splitlines()[3] == ""
    assert max(map(cell_len, told.splitlines())) <= 80


def test_an_empty_column_that_can_be_spared_is_left_out() -> None:
    assert shown([Column("Id"), Column("Region", spare=1)], [["a", ""]], 200).splitlines() == ["Id", "a"]


def test_fields_hang_under_their_value() -> None:
    lines = field_lines({"사유": "메모리를 늘려 다시 제출하십시오 " * 4, "이름": "oom", "없음": ""}.items(), 40)
    assert all(cell_len(line) <= 40 for line in lines)
    assert all(line.startswith(" " * (4 + GAP)) for line in lines[1:-1])
    assert lines[-1] == "이름  oom"


WORDS = st.text(st.sampled_from("ab-강판시_9."), min_size=1, max_size=30)
TEXTS = st.lists(WORDS, max_size=6).map(" ".join)
TABLES = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(
            st.builds(Column, WORDS, right=st.booleans(), keep=st.booleans(), slug=st.booleans(), spare=st.integers(0, 2)),
            min_size=n,
            max_size=n,
        ),
        st.lists(st.lists(TEXTS, min_size=n, max_size=n), min_size=1, max_size=4),
    )
)


@given(TABLES, st.integers(40, 200))
def test_no_cell_is_narrower_than_the_words_in_it(table: tuple[list[Column], list[list[str]]], width: int) -> None:
    columns, rows = table
    lines = [line.text for line in table_lines(columns, rows, width)]
    told = {piece for line in lines for piece in line.split(" ")}
    never_spared = [(i, c) for i, c in enumerate(columns) if not c.spare]
    for i, column in never_spared:
        for word in (word for row in rows for word in row[i].split(" ") if word):
            whole = word in told or (column.slug and "-" in word)
            assert whole, (word, lines)
    longest = max(cell_len(cell) for row in (*rows, [c.heading for c in columns]) for cell in row)
    assert all(cell_len(line) <= max(width, 2 * longest + GAP + 2) for line in lines)


@given(TEXTS, st.integers(1, 60))
def test_folding_loses_nothing(text: str, width: int) -> None:
    assert " ".join(fold(text, width)) == text
    assert "".join(fold(text, width, slug=True)).replace(" ", "") == text.replace(" ", "")
