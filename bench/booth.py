"""Where several agents speak to the plane at one moment, as they do in life: each waits for its answer, and reports that wait
together are written together, each answered when it is durable. What is asked is answered one after the other.

The agents have a thread each, and none of them works while the plane does: what the plane is charged for is its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from bench.charged import ChargedClock

A = TypeVar("A")


@dataclass(frozen=True)
class Word:
    """begin: hands it to the plane and returns what gives the answer; of a question, what asks it."""

    site: str
    phase: str
    begin: Callable[[], Callable[[], Any]]
    answer: Future[Any] = field(default_factory=Future)


class Booth:
    def __init__(self, clock: ChargedClock, agents: int) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(agents)
        self._turn = threading.Condition()
        self._busy = 0  # agents that neither wait for an answer nor are done
        self._said: list[Word] = []
        self._open = False

    def say(self, site: str, phase: str, begin: Callable[[], Callable[[], A]]) -> A:
        """Outside of `hear`, the plane answers at once."""
        word = Word(site, phase, begin)
        if not self._open:
            self._answer([word])
        else:
            with self._turn:
                self._said.append(word)
                self._rests()
        return cast("A", word.answer.result())

    def hear(self, talks: Sequence[Callable[[], int]]) -> int:
        """Have an agent each talk, until all are done; the sum of what they return."""
        self._busy, self._open = len(talks), True
        try:
            running = [self._pool.submit(self._talk, talk) for talk in talks]
            while words := self._next():
                self._answer(words)
            return sum(each.result() for each in running)
        finally:
            self._open = False

    def close(self) -> None:
        self._pool.shutdown()

    def _talk(self, talk: Callable[[], int]) -> int:
        try:
            return talk()
        finally:
            with self._turn:
                self._rests()

    def _rests(self) -> None:
        self._busy -= 1
        self._turn.notify_all()

    def _next(self) -> list[Word]:
        """What all who are not done wait for, by site; empty when all are done."""
        with self._turn:
            self._turn.wait_for(lambda: not self._busy)
            words, self._said = sorted(self._said, key=lambda word: word.site), []
            self._busy = len(words)
        return words

    def _answer(self, words: Sequence[Word]) -> None:
        """All are handed to the plane before any is answered, and all have their answers before anybody goes on."""
        answers: list[tuple[Word, Any, Exception | None]] = []
        for phase in sorted({word.phase for word in words}):
            with self._clock.charge(phase):
                begun = [(word, word.begin()) for word in words if word.phase == phase]
                answers += [(word, *_told(end)) for word, end in begun]
        for word, answer, fault in answers:
            if fault is not None:
                word.answer.set_exception(fault)
            else:
                word.answer.set_result(answer)


def _told(end: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return end(), None
    except Exception as fault:
        return None, fault
