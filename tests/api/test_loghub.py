"""The hub that carries logs: bounded, fair to the slow, and never in the way of the fast."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from dure.api.loghub import LogHub, LogReader
from dure.model.link import LogAnswer, LogChunk
from dure.model.reason import Reason


class Clock:
    now = 1_000

    def now_ms(self) -> int:
        return self.now


def hub(**settings: int) -> LogHub:
    return LogHub(Clock(), **{"buffer_max": 100, "room_wait_ms": 20, "want_again_ms": 50, **settings})


def chunk(offset: int, data: bytes, *, ended: bool = False) -> LogChunk:
    text = base64.b64encode(data).decode()
    return LogChunk(epoch=1, attempt="at_1", worker=0, offset=offset, data=text, ended=ended)


def drain(reader: LogReader) -> bytes:
    found = b""
    while (piece := reader.take()) is not None:
        found += piece.data
    return found


def run(story: Any) -> None:
    asyncio.run(story())


def test_a_want_is_told_once_and_again_only_after_silence() -> None:
    async def story() -> None:
        log = hub()
        log.open("pohang", "at_1", 0, 5)
        assert [(w.attempt, w.worker, w.offset) for w in log.wants("pohang")] == [("at_1", 0, 5)]
        assert log.wants("pohang") == log.wants("gumi") == ()
        log._clock.now += 51  # type: ignore[attr-defined]
        assert len(log.wants("pohang")) == 1

    run(story)


def test_only_the_site_of_the_attempt_may_feed_it() -> None:
    async def story() -> None:
        log = hub()
        reader = log.open("pohang", "at_1", 0, 0)
        assert await log.feed("gumi", chunk(0, b"lies")) == LogAnswer(offset=-1)
        assert drain(reader) == b""

    run(story)


def test_the_flow_goes_at_the_place_of_the_one_furthest_behind() -> None:
    async def story() -> None:
        log = hub()
        first, second = log.open("s", "at_1", 0, 0), log.open("s", "at_1", 0, 6)
        assert await log.feed("s", chunk(0, b"0123")) == LogAnswer(offset=4)
        assert await log.feed("s", chunk(4, b"4567")) == LogAnswer(offset=8)
        assert (drain(first), drain(second)) == (b"01234567", b"67")
        late = log.open("s", "at_1", 0, 2)
        assert len(log.wants("s")) == 1
        assert await log.feed("s", chunk(8, b"89")) == LogAnswer(offset=2)
        assert await log.feed("s", chunk(2, b"23456789", ended=True)) == LogAnswer(offset=-1)
        assert (drain(first), drain(late)) == (b"89", b"23456789")
        assert first.ended and late.ended

    run(story)


def test_the_same_piece_twice_is_read_once() -> None:
    async def story() -> None:
        log = hub()
        reader = log.open("s", "at_1", 0, 0)
        for _ in range(3):
            assert await log.feed("s", chunk(0, b"abc")) == LogAnswer(offset=3)
        assert drain(reader) == b"abc"

    run(story)


def test_the_answer_waits_until_there_is_room() -> None:
    async def story() -> None:
        log = hub(room_wait_ms=10_000)
        reader = log.open("s", "at_1", 0, 0)
        feeding = asyncio.ensure_future(log.feed("s", chunk(0, b"x" * 100)))
        await asyncio.sleep(0)
        assert not feeding.done()
        assert drain(reader) == b"x" * 100
        assert await feeding == LogAnswer(offset=100)

    run(story)


def test_who_is_too_slow_is_let_go_and_the_others_go_on() -> None:
    async def story() -> None:
        log = hub()
        slow, fast = log.open("s", "at_1", 0, 0), log.open("s", "at_1", 0, 0)
        feeding = asyncio.ensure_future(log.feed("s", chunk(0, b"x" * 150)))
        await asyncio.sleep(0)
        drain(fast)
        assert await feeding == LogAnswer(offset=150)
        assert slow.let_go and not fast.let_go
        assert slow.buffered <= 150

    run(story)


def test_a_reader_that_goes_away_frees_the_agent() -> None:
    async def story() -> None:
        log = hub(room_wait_ms=10_000)
        reader = log.open("s", "at_1", 0, 0)
        feeding = asyncio.ensure_future(log.feed("s", chunk(0, b"x" * 100)))
        await asyncio.sleep(0)
        log.close(reader)
        log.close(reader)
        assert await feeding == LogAnswer(offset=-1)
        assert log.wants("s") == () and log._flows == {}

    run(story)


def test_what_is_not_base64_is_refused() -> None:
    async def story() -> None:
        log = hub()
        log.open("s", "at_1", 0, 0)
        answer = await log.feed("s", LogChunk(epoch=1, attempt="at_1", worker=0, offset=0, data="%%%"))
        assert isinstance(answer, Reason) and answer.facts["field"] == "data"

    run(story)


def test_a_reader_behind_the_end_ends_too() -> None:
    async def story() -> None:
        log = hub()
        reader = log.open("s", "at_1", 0, 50)
        assert await log.feed("s", chunk(10, b"", ended=True)) == LogAnswer(offset=-1)
        assert reader.ended

    run(story)
