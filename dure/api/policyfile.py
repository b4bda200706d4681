"""A whole policy out of what people wrote, by the rules of the route that takes one; for those who plan with it and put none in
force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from dure.api.bodies import PolicyIn
from dure.api.faults import reasons_of
from dure.model.codec import to_plain
from dure.model.policy import Policy
from dure.model.reason import Reason

GIVEN = ("id", "version", "created_ms", "written_by")  # by the plane, when a policy is put in force


def policy_with(policy: Policy, given: Mapping[str, Any]) -> Policy | list[Reason]:
    """The policy with these members instead of its own, or all that is wrong with them."""
    plain = {name: value for name, value in to_plain(policy).items() if name not in GIVEN}
    try:
        made = PolicyIn.model_validate({**plain, **given}).policy()
    except ValidationError as error:
        return reasons_of(error.errors(include_url=False), PolicyIn)
    return replace(made, **{name: getattr(policy, name) for name in GIVEN})
