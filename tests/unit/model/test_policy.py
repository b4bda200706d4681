"""What a policy says of itself, and in what it differs from the one before."""

from __future__ import annotations

from dataclasses import replace

from dure.model.policy import Policy, PolicyChange, Price, Quota, policy_changes, policy_id

POLICY = Policy()


def test_a_policy_is_told_apart_field_by_field_and_item_by_item() -> None:
    first, second, *rest = POLICY.classes
    changed = replace(
        POLICY, classes=(replace(first, value=first.value + 1), second, *rest), min_run_ms=POLICY.min_run_ms + 1,
        prices=(*POLICY.prices, Price(resource="npu-second", currency="KRW", nano=7)), version=9, created_ms=5, written_by="ann",
    )  # fmt: skip
    assert policy_changes(POLICY, POLICY) == ()
    told = {c.field: (c.old, c.new) for c in policy_changes(POLICY, changed)}
    assert told == {
        "min_run_ms": (POLICY.min_run_ms, POLICY.min_run_ms + 1),
        f"classes.{first.name}.value": (first.value, first.value + 1),
        "prices.npu-second.KRW": (None, 7),
    }
    assert PolicyChange(field="prices.npu-second.KRW", old=7, new=None) in policy_changes(changed, POLICY)


def test_that_a_class_yields_is_told_where_it_comes_or_goes() -> None:
    first, *rest = POLICY.classes
    firm = replace(POLICY, classes=(replace(first, yields=False), *rest))
    assert first.yields and not any(c.yields for c in rest)
    assert policy_changes(POLICY, firm) == (PolicyChange(field="classes.background.yields", old=1, new=None),)
    assert policy_changes(firm, POLICY) == (PolicyChange(field="classes.background.yields", old=None, new=1),)


def test_quotas_are_told_apart_by_whose_they_are_and_of_what_and_limits_only_where_there_are_any() -> None:
    lab = Quota(of="project:lab", resource="core", nominal_milli=8000, lend_max_milli=500)
    north = Quota(of="organisation:north", resource="device:h100", nominal_milli=4000, borrow_max_milli=0)
    first, second = replace(POLICY, quotas=(lab,)), replace(POLICY, quotas=(replace(lab, lend_max_milli=-1), north))
    assert {c.field: (c.old, c.new) for c in policy_changes(first, second)} == {
        "quotas.project:lab.core.lend_max_milli": (500, None),
        "quotas.organisation:north.device:h100.nominal_milli": (None, 4000),
        "quotas.organisation:north.device:h100.borrow_max_milli": (None, 0),
    }
    assert policy_changes(first, replace(first, quotas=(lab,))) == ()


def test_which_class_is_first_counts_as_work_of_a_class_that_is_gone_is_of_it() -> None:
    turned = replace(POLICY, classes=POLICY.classes[::-1])
    assert policy_changes(POLICY, turned) == (
        PolicyChange(field="classes", old=POLICY.classes[0].name, new=POLICY.classes[-1].name),
    )
    assert turned.class_of("no-such-class") == POLICY.classes[-1]
    assert turned.class_of("normal").name == "normal"
    assert turned.priority_class("no-such-class") is None


def test_a_policy_is_free_when_nothing_or_nearly_nothing_pays() -> None:
    priced = replace(POLICY, prices=(Price(resource="core-second", currency="KRW", nano=1),))
    assert not priced.free
    assert replace(priced, prices=()).free
    assert replace(priced, prices=(Price(resource="core-second", currency="KRW", nano=0),)).free
    assert replace(priced, preemptible_permille=0).free


def test_the_id_of_a_policy_is_its_number() -> None:
    assert policy_id(7) == "policy:7"
