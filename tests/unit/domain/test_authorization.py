"""Who may run a proc: the decision table, and what no combination of rules may ever do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.authorization import (
    Allowed,
    AskRbac,
    AskVotes,
    Denied,
    Verdict,
    allowing_rule,
    decide_authorization,
)
from proctor_operator.domain.plugin import Opinion, Vote
from proctor_operator.domain.proc import Authorization, GroupsMatch, RbacRule
from unit.builders import requester

NOBODY = Denied("alice is not among those who may run this proc")
NO_VERB = Denied("alice lacks the verb execute on this proc, which it requires")
VERB = Allowed("verb execute")
ASK = AskRbac()

Verdicts = tuple[Verdict, Verdict, Verdict]


def always(verdict: Verdict) -> Verdicts:
    return verdict, verdict, verdict


# rules -> the verdict while the verb is unknown, when it is held, when it is not
TABLE: dict[str, tuple[dict[str, Any], Verdicts]] = {
    "no rule at all: the verb decides": ({}, (ASK, VERB, NOBODY)),
    "no rule, verb ignored: nobody": ({"rbac": "Ignored"}, (NOBODY, NOBODY, NOBODY)),
    "no rule, verb required: the verb decides": ({"rbac": "Required"}, (ASK, VERB, NO_VERB)),
    "anyone": ({"anyone": True}, (always(Allowed("anyone")))),
    "anyone, verb ignored": ({"anyone": True, "rbac": "Ignored"}, (always(Allowed("anyone")))),
    "anyone, verb required": (
        {"anyone": True, "rbac": "Required"},
        (ASK, Allowed("verb execute and anyone"), NO_VERB),
    ),
    "her name": ({"users": ("bob", "alice")}, (always(Allowed("user alice")))),
    "her name, verb required": (
        {"users": ("alice",), "rbac": "Required"},
        (ASK, Allowed("verb execute and user alice"), NO_VERB),
    ),
    "another's name: the verb decides": ({"users": ("bob",)}, (ASK, VERB, NOBODY)),
    "another's name, verb ignored": (
        {"users": ("bob",), "rbac": "Ignored"},
        (NOBODY, NOBODY, NOBODY),
    ),
    "another's name, verb required: the verb is not enough": (
        {"users": ("bob",), "rbac": "Required"},
        (NOBODY, NOBODY, NOBODY),
    ),
    "her group": ({"groups": ("dba",)}, (always(Allowed("group dba")))),
    "her group, verb required": (
        {"groups": ("dba",), "rbac": "Required"},
        (ASK, Allowed("verb execute and group dba"), NO_VERB),
    ),
    "another group, verb required": (
        {"groups": ("sre",), "rbac": "Required"},
        (NOBODY, NOBODY, NOBODY),
    ),
    "one of two groups is enough with Any": (
        {"groups": ("sre", "dba"), "groups_match": "Any"},
        (always(Allowed("group dba"))),
    ),
    "one of two groups is not enough with All": (
        {"groups": ("sre", "dba"), "groups_match": "All"},
        (ASK, VERB, NOBODY),
    ),
    "several groups without a word are read strictly": (
        {"groups": ("sre", "dba"), "rbac": "Ignored"},
        (NOBODY, NOBODY, NOBODY),
    ),
    "both groups with All": (
        {"groups": ("dba", "oncall"), "groups_match": "All"},
        (always(Allowed("group dba, oncall"))),
    ),
    "a user beside groups that do not match": (
        {"users": ("alice",), "groups": ("sre", "dba"), "groups_match": "All"},
        (always(Allowed("user alice"))),
    ),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_the_rules_give_the_verdict_of_the_table(
    row: tuple[dict[str, Any], Verdicts],
) -> None:
    rules, (unknown, held, lacking) = row
    authorization = Authorization(**rules)
    alice = requester(username="alice", groups=("dba", "oncall"))

    assert decide_authorization(authorization, alice, holds_execute=None, votes=()) == unknown
    assert decide_authorization(authorization, alice, holds_execute=True, votes=()) == held
    assert decide_authorization(authorization, alice, holds_execute=False, votes=()) == lacking


FOR, AGAINST, SILENT = (
    Vote("gate", one) for one in (Opinion.ALLOW, Opinion.DENY, Opinion.NO_OPINION)
)
DENIES = Denied("the plugin gate denies")
BY_GATE = Allowed("plugin gate")
UNHEARD = Denied("the plugin gate, which this proc requires, did not vote")
# rules and votes -> the verdict where the verb is held, and where it is not
VOTED: dict[str, tuple[dict[str, Any], tuple[Vote, ...], Verdict, Verdict]] = {
    "one that allows": ({"plugins": ("gate",)}, (FOR,), BY_GATE, BY_GATE),
    "one that denies": ({"plugins": ("gate",)}, (AGAINST,), DENIES, DENIES),
    "one that denies anyone": ({"anyone": True}, (AGAINST,), DENIES, DENIES),
    "one that denies beside one that allows": (
        {"plugins": ("gate", "other")},
        (Vote("other", Opinion.ALLOW), AGAINST),
        DENIES,
        DENIES,
    ),
    "one without an opinion: the verb decides": ({"plugins": ("gate",)}, (SILENT,), VERB, NOBODY),
    "one without an opinion, verb required": (
        {"plugins": ("gate",), "rbac": "Required"},
        (SILENT,),
        NOBODY,
        NOBODY,
    ),
    "one that allows, verb required": (
        {"plugins": ("gate",), "rbac": "Required"},
        (FOR,),
        Allowed("verb execute and plugin gate"),
        NO_VERB,
    ),
    "one that is named and did not vote": (
        {"plugins": ("gate",), "anyone": True},
        (),
        UNHEARD,
        UNHEARD,
    ),
    "a mandatory one that allows": ({"rbac": "Ignored"}, (FOR,), BY_GATE, BY_GATE),
}


@pytest.mark.parametrize(("rules", "votes", "held", "lacking"), VOTED.values(), ids=VOTED)
def test_a_plugin_votes(
    rules: dict[str, Any], votes: tuple[Vote, ...], held: Verdict, lacking: Verdict
) -> None:
    authorization = Authorization(**rules)
    who = requester(username="alice")

    assert decide_authorization(authorization, who, holds_execute=None, votes=None) == AskVotes()
    assert decide_authorization(authorization, who, holds_execute=True, votes=votes) == held
    assert decide_authorization(authorization, who, holds_execute=False, votes=votes) == lacking


WORDS = st.sampled_from(["a", "b", "c", "d"])
REQUESTERS = st.builds(
    lambda name, groups: requester(username=name, groups=tuple(groups)), WORDS, st.sets(WORDS)
)
RULES = st.builds(
    Authorization,
    groups=st.lists(WORDS, max_size=3, unique=True).map(tuple),
    groups_match=st.sampled_from([None, *GroupsMatch]),
    users=st.lists(WORDS, max_size=2).map(tuple),
    rbac=st.sampled_from(list(RbacRule)),
    anyone=st.booleans(),
)


@given(rules=RULES, who=REQUESTERS)
def test_nobody_is_allowed_when_nothing_matches_and_the_verb_is_not_held(
    rules: Authorization, who: Any
) -> None:
    names_her = rules.anyone or who.username in rules.users or set(rules.groups) & set(who.groups)

    if not names_her:
        assert isinstance(decide_authorization(rules, who, holds_execute=False, votes=()), Denied)


@given(rules=RULES, who=REQUESTERS)
def test_a_required_verb_that_is_not_held_denies_everybody(rules: Authorization, who: Any) -> None:
    strict = rules.model_copy(update={"rbac": RbacRule.REQUIRED})

    assert isinstance(decide_authorization(strict, who, holds_execute=False, votes=()), Denied)


@given(rules=RULES, who=REQUESTERS, held=st.booleans())
def test_an_ignored_verb_changes_no_verdict(rules: Authorization, who: Any, *, held: bool) -> None:
    deaf = rules.model_copy(update={"rbac": RbacRule.IGNORED})

    without_answer = decide_authorization(deaf, who, holds_execute=None, votes=())

    assert decide_authorization(deaf, who, holds_execute=held, votes=()) == without_answer
    assert not isinstance(without_answer, AskRbac)


@given(rules=RULES, who=REQUESTERS, held=st.booleans())
def test_an_answered_question_is_never_asked_again(
    rules: Authorization, who: Any, *, held: bool
) -> None:
    assert not isinstance(decide_authorization(rules, who, holds_execute=held, votes=()), AskRbac)


@given(rules=RULES, who=REQUESTERS)
def test_holding_the_verb_never_takes_a_permission_away(rules: Authorization, who: Any) -> None:
    if isinstance(decide_authorization(rules, who, holds_execute=False, votes=()), Allowed):
        assert isinstance(decide_authorization(rules, who, holds_execute=True, votes=()), Allowed)


@given(rules=RULES, who=REQUESTERS)
def test_a_rule_that_is_named_really_matches(rules: Authorization, who: Any) -> None:
    rule = allowing_rule(rules, who)

    if rule is not None and rule.startswith("group "):
        named = set(rule.removeprefix("group ").split(", "))
        assert named <= set(who.groups) & set(rules.groups)
        if rules.groups_match is not GroupsMatch.ANY:
            assert named == set(rules.groups)
