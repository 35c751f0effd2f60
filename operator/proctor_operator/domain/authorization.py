"""Who may run a proc: the rules of its `authorization`, and nothing but them."""

from __future__ import annotations

from dataclasses import dataclass

from proctor_operator.domain.identity import Requester
from proctor_operator.domain.plugin import Opinion, Vote
from proctor_operator.domain.proc import Authorization, GroupsMatch, RbacRule


@dataclass(frozen=True, slots=True)
class Allowed:
    """The requester may; `by` names the rule, for the record."""

    by: str


@dataclass(frozen=True, slots=True)
class Denied:
    """The requester may not; `message` says which rule denied, in words the requester may read."""

    message: str


@dataclass(frozen=True, slots=True)
class AskRbac:
    """The answer depends on the verb `execute`, which only the API server knows."""


@dataclass(frozen=True, slots=True)
class AskVotes:
    """The answer depends on the plugins that vote on this proc."""


Verdict = Allowed | Denied | AskRbac | AskVotes


def decide_authorization(
    rules: Authorization,
    requester: Requester,
    *,
    holds_execute: bool | None,
    votes: tuple[Vote, ...] | None,
) -> Verdict:
    """Apply the rules; `holds_execute` and `votes` are None while nobody has been asked.

    Any plugin that denies decides, and so does one that the rules name and that did not vote. One that
    allows is a rule that allows. `rbac: Required` makes the verb necessary; where users, groups, plugins
    or `anyone` are given too, one of them must allow as well. `rbac: Sufficient` lets the verb allow by
    itself.
    """
    if votes is None:
        return AskVotes()
    against = find_vote_against(rules, votes)
    if against is not None:
        return against
    allowed_by = allowing_rule(rules, requester) or _allowing_vote(votes)
    if rules.rbac is RbacRule.REQUIRED:
        return _with_required_verb(rules, requester, allowed_by, holds_execute=holds_execute)
    if allowed_by is not None:
        return Allowed(allowed_by)
    if rules.rbac is RbacRule.IGNORED:
        return Denied(_nobody_allows(requester))
    if holds_execute is None:
        return AskRbac()
    return Allowed("verb execute") if holds_execute else Denied(_nobody_allows(requester))


def find_vote_against(rules: Authorization, votes: tuple[Vote, ...]) -> Denied | None:
    """The first plugin that denies, or that should have voted and did not."""
    for vote in votes:
        if vote.opinion is Opinion.DENY:
            said = f": {vote.message}" if vote.message else ""
            return Denied(f"the plugin {vote.plugin} denies{said}")
    voted = {vote.plugin for vote in votes}
    for name in rules.plugins:
        if name not in voted:
            return Denied(f"the plugin {name}, which this proc requires, did not vote")
    return None


def allowing_rule(rules: Authorization, requester: Requester) -> str | None:
    """Name the first rule that allows by the requester's name or groups alone, or None."""
    if rules.anyone:
        return "anyone"
    if requester.username in rules.users:
        return f"user {requester.username}"
    matching = [group for group in rules.groups if group in requester.groups]
    if not matching:
        return None
    if needs_all_groups(rules) and len(matching) < len(rules.groups):
        return None
    return f"group {', '.join(matching)}"


def needs_all_groups(rules: Authorization) -> bool:
    """Whether every group is needed; several groups without a word are read strictly."""
    if rules.groups_match is None:
        return len(rules.groups) > 1
    return rules.groups_match is GroupsMatch.ALL


def _allowing_vote(votes: tuple[Vote, ...]) -> str | None:
    allowing = (vote.plugin for vote in votes if vote.opinion is Opinion.ALLOW)
    return next((f"plugin {plugin}" for plugin in allowing), None)


def _with_required_verb(
    rules: Authorization,
    requester: Requester,
    allowed_by: str | None,
    *,
    holds_execute: bool | None,
) -> Verdict:
    names_somebody = rules.anyone or bool(rules.users or rules.groups or rules.plugins)
    if names_somebody and allowed_by is None:
        return Denied(_nobody_allows(requester))
    if holds_execute is None:
        return AskRbac()
    if not holds_execute:
        return Denied(
            f"{requester.username} lacks the verb execute on this proc, which it requires"
        )
    return Allowed("verb execute" if allowed_by is None else f"verb execute and {allowed_by}")


def _nobody_allows(requester: Requester) -> str:
    return f"{requester.username} is not among those who may run this proc"
