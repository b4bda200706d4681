"""One request on its way through: who asks, what for, what was loaded for the decision, and how it is carried out."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from dure.access import Action, Identity, Resource, may
from dure.api.cursors import sealed
from dure.api.lanes import Lane
from dure.api.problems import problem
from dure.api.state import ApiState
from dure.controller.commands.idempotency import LEFT_OUT, Answer, once
from dure.controller.commands.workloads import element_ids
from dure.controller.deed import Deed
from dure.errors import require
from dure.model.reason import Reason, ReasonKind
from dure.ports import Reader, Tx

V = TypeVar("V")
Plain = dict[str, Any]


@dataclass(slots=True)
class Call:
    """Made by the route before its function runs. `decided` is set once access has been granted."""

    api: ApiState
    request: Request
    lang: str
    lane: Lane = Lane.PEOPLE  # whose threads its reads take
    identity: Identity = field(default_factory=lambda: Identity(id=""))
    key: str = ""
    raw: bytes = b""
    document: Any = None  # the body as JSON
    record: Any = None  # what the access decision loaded
    cursors: bool = False  # the route lists with cursors
    decided: bool = False
    recheck: Callable[[], Awaitable[bool]] | None = None  # asks for access anew
    checked_ms: int = 0

    # -- decisions ----------------------------------------------------------------------------------------------------

    def sees(self, action: Action, resource: Resource) -> bool:
        """For lists, in which every item is decided."""
        return may(self.identity, action, resource).allowed

    def refusal(self, action: Action, resources: Iterable[Resource]) -> Reason | None:
        """The reason of the first that is refused, or None."""
        for resource in resources:
            verdict = may(self.identity, action, resource)
            if not verdict.allowed:
                return verdict.reason
        return None

    async def still_allowed(self) -> bool:
        """For streams: whether the caller's token and rights still hold. Asked anew once every `stream_keep_alive_ms`."""
        now_ms = self.api.clock.now_ms()
        if self.recheck is None or now_ms - self.checked_ms < self.api.settings.stream_keep_alive_ms:
            return True
        self.checked_ms = now_ms
        return await self.recheck()

    # -- answers ------------------------------------------------------------------------------------------------------

    def refuse(self, reason: Reason | list[Reason]) -> Response:
        return problem(reason, self.lang, self.request.url.path)

    def answer(
        self, document: Plain | Reason | list[Reason], status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        """JSON of a document, or the problem of a reason, or of several."""
        if isinstance(document, (Reason, list)):
            return self.refuse(document)
        return Response(to_json(document), status, headers, "application/json")

    # -- work ---------------------------------------------------------------------------------------------------------

    async def read(self, fn: Callable[[Reader], V]) -> V:
        return await self.api.read(fn, self.lane)

    async def show(self, fn: Callable[[Reader], Plain | Reason]) -> Response:
        """Answer with what `fn` reads. In a list with cursors, `next` is an id until here."""
        document = await self.read(fn)
        if isinstance(document, dict) and self.cursors:
            document["next"] = sealed(self.request, document["next"])
        return self.answer(document)

    async def ask(self, fn: Callable[[], Plain | Reason | list[Reason]]) -> Response:
        """Answer with what `fn` finds out about the whole plane: in turn with the same actor's other questions."""
        if self.api.questions.full(self.identity.id):
            return self.refuse(Reason.of(ReasonKind.PLANE_BUSY))
        return self.answer(await self.api.questions.ask(self.identity.id, fn))

    async def write(
        self,
        command: Callable[[Tx, Deed], V | Reason],
        encode: Callable[[V], Plain],
        *,
        status: int = 200,
        forget: bool = False,
        seal: Callable[[Plain], Plain] | None = None,
        faults: Callable[[Reader], list[Reason]] | None = None,
    ) -> Response:
        """Carry out a command once per Idempotency-Key, in one transaction with its answer.

        forget: it changes credentials, grants or the policy. seal: adds to the first answer what is not to be kept. faults: all
        that is wrong with the request, looked for when the command has refused it for the first of them."""
        deed, digest = self.deed(), self.digest()
        outcome = await self.api.write(
            lambda tx: once(
                tx, deed, key=self.key, request=digest, status=status, command=lambda t: command(t, deed), encode=encode
            )
        )
        if forget:
            self.api.forget()
        if isinstance(outcome, Reason):
            every = await self.read(faults) if faults else []
            return self.refuse(every if outcome in every[:1] else outcome)
        return self._written(outcome, seal)

    def _written(self, outcome: Answer, seal: Callable[[Plain], Plain] | None) -> Response:
        body = dict(outcome.body)
        if outcome.repeated:
            return self.answer(restored(body), outcome.status, {"idempotency-replayed": "true"})
        return self.answer(seal(body) if seal else body, outcome.status)

    def deed(self) -> Deed:
        """The circumstances under which the caller's command is carried out."""
        who = self.identity
        return self.api.services.controller.deed(who.id, who.credential, who.made_by)

    def digest(self) -> str:
        """Names this request: method, path with query, body. What a repeated key is compared by."""
        scope = self.request.scope
        target = f"{scope['method']} {scope['path']}?".encode() + scope["query_string"] + b"\n"
        return hashlib.sha256(target + self.raw).hexdigest()[:32]


def restored(kept: Plain) -> Plain:
    """A kept answer as it was at first, where its long member follows from the others: the ids of an array's elements.

    Any other is answered as it was kept: its `left_out` tells which members are not repeated, and how many items each had."""
    left_out = kept.get(LEFT_OUT)
    if not isinstance(left_out, dict) or left_out.keys() != {"ids"} or not kept.get("array_id"):
        return kept
    return {**{name: value for name, value in kept.items() if name != LEFT_OUT},
            "ids": element_ids(kept["array_id"], left_out["ids"])}  # fmt: skip


async def current(request: Request) -> Call:  # async, or FastAPI would run it on a thread
    """The call that the route made of this request. Refuses to hand one out that nobody has decided on."""
    call: Call = request.state.call
    require(call.decided, "a route function was reached without an access decision")
    return call


CallDep = Annotated[Call, Depends(current)]
