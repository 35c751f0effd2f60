"""Runs of one Proc share its pinned spec, as far as the record says that it is the same."""

from __future__ import annotations

from dataclasses import replace

from proctor_operator.domain.run import RecordedRun
from proctor_operator.runtime.pins import REMEMBERED_AT_MOST, Pins, pinned_spec
from unit.builders import proc_spec, recorded_run, run_request


def a_run(image: str = "a:1", generation: int = 1) -> RecordedRun:
    request = run_request(proc_spec(image=image))
    assert request.pinned is not None
    return recorded_run(replace(request, pinned=replace(request.pinned, generation=generation)))


def test_runs_of_a_generation_share_one_value() -> None:
    pins = Pins()
    (first, spec), (second, other) = pins.share(a_run()), pins.share(a_run())

    assert first.request.pinned is second.request.pinned
    assert spec is other
    assert spec == pinned_spec(a_run())


def test_what_the_record_says_otherwise_is_not_shared() -> None:
    pins = Pins()
    pins.share(a_run("a:1"))
    run, spec = pins.share(a_run("b:1"))

    assert run == a_run("b:1")
    assert spec is not None
    assert spec.image == "b:1"


def test_a_run_without_a_proc_and_one_that_cannot_be_read_have_no_spec() -> None:
    pins = Pins()
    readable = a_run()
    assert readable.request.pinned is not None
    broken = replace(readable.request.pinned, spec={"image": 1}, generation=2)
    without = replace(readable, request=replace(readable.request, pinned=None))

    assert pins.share(without) == (without, None)
    for _ in range(2):
        assert (
            pins.share(replace(readable, request=replace(readable.request, pinned=broken)))[1]
            is None
        )


def test_old_generations_are_forgotten() -> None:
    pins = Pins()
    first, _ = pins.share(a_run(generation=1))
    for generation in range(2, REMEMBERED_AT_MOST + 2):
        pins.share(a_run(generation=generation))
    again, _ = pins.share(a_run(generation=1))

    assert again.request.pinned == first.request.pinned
    assert again.request.pinned is not first.request.pinned
