"""The order in which finished executions are kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.execution import Phase, ProcExecution, ProcExecutionStatus, ScheduleRef
from proctor_operator.domain.naming import Uid
from proctor_operator.reconcile.retention import age
from proctor_operator.runtime.shelves import Shelves
from unit.builders import ago, execution, execution_spec


def ended(name: str, seconds_ago: int, phase: Phase, schedule: str, uid: str = "") -> ProcExecution:
    reference = ScheduleRef(name=schedule, uid=Uid(schedule)) if schedule else None
    return execution(
        execution_spec(schedule_ref=reference),
        name=name,
        uid=Uid(uid or name),
        status=ProcExecutionStatus(phase=phase, completion_time=ago(seconds_ago)),
    )


@given(
    st.lists(
        st.tuples(
            st.integers(0, 20),
            st.sampled_from([Phase.SUCCEEDED, Phase.FAILED, Phase.LOST]),
            st.sampled_from(["", "nightly", "hourly"]),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_each_shelf_is_in_order_whatever_comes_and_goes(
    drawn: list[tuple[int, Phase, str, bool]],
) -> None:
    shelves = Shelves()
    executions = [ended(str(n), end, phase, of) for n, (end, phase, of, _) in enumerate(drawn)]
    for one in executions:
        shelves.put(one)
    for one, (*_, goes) in zip(executions, drawn, strict=True):
        if goes:
            shelves.remove(one)

    left = [one for one, (*_, goes) in zip(executions, drawn, strict=True) if not goes]
    assert len(shelves) == len(left)
    assert sorted(one.name for one in shelves) == sorted(one.name for one in left)
    for shelf in shelves.shelves():
        assert list(shelf.oldest_first) == sorted(shelf.oldest_first, key=age)
        assert shelf.oldest_first
        for one in shelf.oldest_first:
            assert (one.status.phase is Phase.SUCCEEDED) is shelf.has_succeeded
            assert (one.spec.schedule_ref and one.spec.schedule_ref.uid) == shelf.schedule


def test_a_namesake_and_what_is_not_there_are_not_taken_out() -> None:
    shelves = Shelves()
    shelves.put(ended("a", 5, Phase.LOST, ""))

    shelves.remove(ended("a", 5, Phase.LOST, "", uid="another"))
    shelves.remove(ended("b", 1, Phase.LOST, ""))
    shelves.remove(ended("a", 5, Phase.LOST, "nightly"))

    assert [one.uid for one in shelves] == ["a"]
