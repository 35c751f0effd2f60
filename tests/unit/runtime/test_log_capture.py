"""Capturing output on a node that turns logs over, breaks connections and goes away, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from proctor_operator.adapters.live import LiveLog
from proctor_operator.domain.errors import ClusterUnavailable, NotFound, RecordUnavailable
from proctor_operator.domain.log import LogSummary
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.run import RunKey
from proctor_operator.domain.workload import PodFacts
from proctor_operator.ports.logs import LogPlace
from proctor_operator.runtime.log_capture import LogCapture, LogWishes
from proctor_operator.runtime.log_streams import CaptureLimits
from simulation.container_log import ContainerLog
from simulation.virtual_time import TIME_ZERO, VirtualClock, run_virtually
from unit.builders import EXECUTION_UID, container_end, ended_pod, running_pod
from unit.fakes import FakeLogStore, FakeMetrics

KEY = RunKey(TIME_ZERO, EXECUTION_UID)
ALL = LogWishes()
MIB = 1024 * 1024


class Node:
    """The `PodLogs` port on logs by the name of their pod."""

    def __init__(self) -> None:
        self.logs: dict[str, ContainerLog] = {}
        self.opened: list[str] = []
        self.follows = 0
        self.most_follows = 0
        self.is_away = False
        self.can_follow = True

    @asynccontextmanager
    async def open(
        self, place: LogPlace, *, follows: bool, since: datetime | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.opened.append("follow" if follows else "read")
        await asyncio.sleep(0.01)
        if self.is_away:
            raise ClusterUnavailable("dial tcp: connection refused", status=502)
        if place.pod not in self.logs:
            raise NotFound(f"pods {place.pod!r} not found", status=404)
        self.follows += follows
        self.most_follows = max(self.most_follows, self.follows)
        try:
            yield self.logs[place.pod].read(follows=follows and self.can_follow, since=since)
        finally:
            self.follows -= follows


class Scene:
    """One run, whose operator can be started anew; `read` are the UIDs that were woken."""

    def __init__(self, limits: CaptureLimits | None = None) -> None:
        self.clock = VirtualClock()
        self.node = Node()
        self.store = FakeLogStore()
        self.live = LiveLog()
        self.limits = limits or CaptureLimits()
        self.woken: list[Uid] = []
        self.log = self.start_container("pod")
        self.capture = self.process()

    def process(self) -> LogCapture:
        return LogCapture(
            logs=self.node,
            store=self.store,
            live=self.live,
            clock=self.clock,
            metrics=FakeMetrics(),
            limits=self.limits,
            wake=self.woken.append,
        )

    def start_container(self, name: str) -> ContainerLog:
        self.node.logs[name] = ContainerLog(self.clock.now)
        return self.node.logs[name]

    async def restart(self) -> None:
        """The process is killed, and another one takes over."""
        await self.capture.stop()
        self.capture = self.process()

    async def print_for(self, seconds: float) -> None:
        """A line every quarter of a second."""
        for _ in range(int(seconds * 4)):
            self.log.write(b"line %d" % len(self.log.printed))
            await asyncio.sleep(0.25)

    async def print_in_two_pieces(self, rest: bytes) -> None:
        """A long line, of which a reading from the second before the next line brings only the rest."""
        self.log.write_part(b"x" * 100)
        await asyncio.sleep(1)
        self.log.write(rest)
        await asyncio.sleep(1.2)

    def follow(self) -> None:
        self.capture.follow(KEY, ALL, running("pod"))

    async def end(self) -> LogSummary:
        """The container ends, and the operator asks until it has its summary."""
        self.log.end()
        pod = ended("pod", self.clock.now())
        self.capture.learn(KEY.uid, [pod])
        return await self.finish(pod)

    async def finish(self, *pods: PodFacts) -> LogSummary:
        for _ in range(200):
            summary = await self.capture.finish(KEY, ALL, pods)
            if summary is not None:
                return summary
            await asyncio.sleep(5)
        raise AssertionError("it never finishes")


def running(name: str, started_at: datetime = TIME_ZERO) -> PodFacts:
    return running_pod(uid=Uid(name), name=name, running_since=started_at)


def ended(name: str, at: datetime, started_at: datetime = TIME_ZERO) -> PodFacts:
    end = container_end(started_at=started_at, finished_at=at)
    return ended_pod(uid=Uid(name), name=name, end=end)


def on_a_node(
    test: Callable[[Scene], Awaitable[None]], limits: CaptureLimits | None = None
) -> None:
    async def main() -> None:
        scene = Scene(limits)
        await test(scene)
        await scene.capture.stop()

    run_virtually(main())


def test_a_short_run_costs_one_reading_and_one_chunk() -> None:
    async def test(scene: Scene) -> None:
        await scene.print_for(4)
        scene.log.end()
        pod = ended("pod", scene.clock.now())
        scene.capture.follow(KEY, ALL, pod)

        summary = await scene.capture.finish(KEY, ALL, [pod])

        assert summary is not None
        assert (summary.reason, summary.is_complete, summary.lines) == ("Captured", True, 16)
        assert summary.tail == "".join(f"line {number}\n" for number in range(16))
        assert scene.store.lines(KEY) == scene.log.printed
        assert (scene.node.opened, scene.store.calls) == (["read"], ["append"])

    on_a_node(test)


def test_a_run_that_was_seen_to_run_is_still_read_once_when_it_is_short() -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(8)

        assert (await scene.end()).reason == "Captured"
        assert scene.node.opened == ["read"]

    on_a_node(test)


def test_an_answer_that_ends_in_the_middle_of_a_line_which_goes_on_loses_and_doubles_nothing() -> (
    None
):
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(12)
        scene.log.write_part(b"a long line")
        await asyncio.sleep(1)
        scene.log.end_answers()
        await asyncio.sleep(8)
        scene.log.write(b" and its rest")
        await scene.print_for(3)

        assert (await scene.end()).reason == "Captured"
        assert scene.store.lines(KEY) == scene.log.printed

    on_a_node(test)


INSIDE_A_STAMP, INSIDE_A_TEXT, A_LINE = 10, 35, 38


@pytest.mark.parametrize("size", [INSIDE_A_STAMP, INSIDE_A_TEXT, 3 * A_LINE + INSIDE_A_TEXT])
@pytest.mark.parametrize("seconds", [5, 14])
def test_a_kubelet_that_is_killed_while_it_gives_the_end_loses_nothing(
    seconds: int, size: int
) -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(seconds)
        scene.log.next_answer_is_cut_to = size

        assert (await scene.end()).reason == "Captured"
        assert scene.store.lines(KEY) == scene.log.printed

    on_a_node(test)


@pytest.mark.parametrize("size", [0, A_LINE + 1])
@pytest.mark.parametrize("goes_on_for", [0, 20])
def test_an_answer_that_ends_before_the_last_stored_line_is_no_sign_of_a_turned_log(
    goes_on_for: int, size: int
) -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(14)
        scene.log.next_answer_is_cut_to = size
        scene.log.break_off()
        await scene.print_for(goes_on_for)

        assert (await scene.end()).reason == "Captured"
        assert scene.store.lines(KEY) == scene.log.printed

    on_a_node(test)


@pytest.mark.parametrize("seconds", [3, 14])
def test_a_last_line_without_its_end_is_whole(seconds: int) -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(seconds)
        scene.log.write_part(b"no new")
        await asyncio.sleep(1)
        scene.log.write_part(b"line")

        assert (await scene.end()).reason == "Captured"
        assert scene.store.lines(KEY) == scene.log.printed

    on_a_node(test)


def test_last_words_without_their_end_are_there_though_the_pod_is_gone() -> None:
    async def test(scene: Scene) -> None:
        await scene.print_for(3)
        await scene.capture.attach(KEY, ALL, running("pod"))
        del scene.node.logs["pod"]
        await scene.print_for(5)
        scene.log.write_part(b"last words")

        assert (await scene.end()).reason == "Captured"
        assert scene.store.lines(KEY) == scene.log.printed

    on_a_node(test)


def test_last_words_are_not_taken_twice_by_two_operators() -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(12)
        rival = scene.process()
        await rival.attach(KEY, ALL, running("pod"))
        await asyncio.sleep(1)
        log = scene.node.logs.pop("pod")
        log.write_part(b"last words")
        log.end()
        await asyncio.sleep(1)
        pod = ended("pod", scene.clock.now())
        rival.learn(KEY.uid, [pod])
        await rival.finish(KEY, ALL, [pod])

        await scene.end()

        assert scene.store.lines(KEY) == scene.log.printed
        await rival.stop()

    on_a_node(test)


FORGED = (b"2099-01-01T00:00:00Z later", b"1999-01-01T00:00:00Z earlier", b"no time")


@pytest.mark.parametrize("rest", FORGED)
@pytest.mark.parametrize("follows", [True, False])
def test_a_line_whose_rest_looks_like_a_line_with_a_time_hides_and_forges_nothing(
    rest: bytes, *, follows: bool
) -> None:
    async def test(scene: Scene) -> None:
        scene.node.can_follow = follows
        scene.follow()
        await scene.print_for(20)
        await scene.print_in_two_pieces(rest)
        scene.log.write(b"the last one before a break")
        await asyncio.sleep(20)
        scene.log.break_off()
        await scene.print_for(30)
        scene.log.break_off()
        await scene.print_for(30)

        assert (await scene.end()).reason == "Captured"
        assert scene.store.lines(KEY) == scene.log.printed

    on_a_node(test)


@pytest.mark.parametrize("rest", FORGED)
def test_such_a_rest_at_the_beginning_of_the_last_reading_is_no_line_either(rest: bytes) -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(20)
        await scene.print_in_two_pieces(rest)
        scene.log.write(b"the last one")

        assert (await scene.end()).reason == "Captured"
        assert scene.store.lines(KEY) == scene.log.printed

    on_a_node(test)


def test_of_a_turned_log_its_first_line_is_kept_and_the_turn_is_told() -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(14)
        scene.node.is_away = True
        scene.log.break_off()
        await scene.print_for(3)
        scene.log.turn_over()
        scene.log.write(b"the first of the new file", b"the second")
        await asyncio.sleep(10)
        scene.node.is_away = False
        await asyncio.sleep(10)

        assert (await scene.end()).reason == "MayBeIncomplete"
        assert scene.store.lines(KEY)[-2:] == [b"the first of the new file", b"the second"]

    on_a_node(test)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_only_lines_of_a_turned_log_are_kept(count: int) -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(14)
        scene.node.is_away = True
        scene.log.break_off()
        scene.log.turn_over()
        only = [b"only %d" % number for number in range(count)]
        scene.log.write(*only)
        scene.node.is_away = False

        assert (await scene.end()).reason == "MayBeIncomplete"
        assert scene.store.lines(KEY) == [*scene.log.printed[:56], *only]

    on_a_node(test)


def test_a_node_whose_clock_was_far_ahead_hides_nothing_when_it_is_set_back() -> None:
    async def test(scene: Scene) -> None:
        scene.log.clock_is_ahead_by = timedelta(hours=1)
        scene.follow()
        await scene.print_for(14)
        scene.log.break_off()
        scene.log.clock_is_ahead_by = timedelta(0)
        await scene.print_for(14)

        assert (await scene.end()).reason == "Captured"
        assert scene.store.lines(KEY) == scene.log.printed

    on_a_node(test)


def test_a_word_of_the_kubelets_at_the_end_of_the_last_reading_is_not_taken_for_the_end() -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(14)
        scene.log.last_word = b"failed to read the log: input/output error"

        summary = await scene.end()

        assert not summary.is_complete
        assert "input/output error" in summary.message
        assert scene.store.lines(KEY) == scene.log.printed

    on_a_node(test)


def test_a_run_that_prints_nothing_leaves_no_chunk() -> None:
    async def test(scene: Scene) -> None:
        summary = await scene.end()

        assert (summary.reason, summary.is_complete, summary.tail) == ("NoOutput", True, "")
        assert "append" not in scene.store.calls

    on_a_node(test)


def test_a_long_run_is_followed_across_turns_of_its_log() -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        for _ in range(5):
            await scene.print_for(12)
            scene.log.turn_over()
        await scene.print_for(3)

        assert (await scene.end()).reason == "Captured"
        assert scene.store.lines(KEY) == scene.log.printed
        assert scene.node.opened == ["follow", "read"]

    on_a_node(test)


def test_every_line_is_stored_once_over_any_number_of_breaks() -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(11)
        for _ in range(6):
            scene.log.break_off()
            scene.log.write(b"the same", b"the same", b"the same")
            await scene.print_for(4)

        assert (await scene.end()).reason == "Captured"
        assert scene.store.lines(KEY) == scene.log.printed

    on_a_node(test)


def test_a_log_that_was_turned_over_while_nobody_read_says_so_and_goes_on() -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(14)
        scene.node.is_away = True
        scene.log.break_off()
        await scene.print_for(3)
        missed = scene.log.printed[-11:]
        scene.log.turn_over()
        scene.node.is_away = False
        await scene.print_for(12)

        summary = await scene.end()

        assert (summary.reason, summary.is_complete) == ("MayBeIncomplete", False)
        stored = scene.store.lines(KEY)
        assert stored == [line for line in scene.log.printed if line in stored]
        assert not set(missed) & set(stored)
        assert stored[-1] == scene.log.printed[-1]

    on_a_node(test)


@pytest.mark.parametrize("seconds", [0, 10])
def test_a_log_that_went_with_a_turn_while_it_was_silent_is_not_taken_for_whole(
    seconds: int,
) -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(14)
        scene.node.is_away = True
        scene.log.break_off()
        await scene.print_for(1)
        scene.log.turn_over()
        scene.node.is_away = False
        await asyncio.sleep(seconds)
        assert (await scene.end()).reason == "MayBeIncomplete"

    on_a_node(test)


@pytest.mark.parametrize("seconds", [3, 11, 13, 30])
def test_a_restart_of_the_operator_loses_and_doubles_nothing(seconds: int) -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        for _ in range(3):
            await scene.print_for(seconds)
            await scene.restart()
            scene.follow()
        await scene.print_for(2)

        assert (await scene.end()).reason == "Captured"
        assert scene.store.lines(KEY) == scene.log.printed

    on_a_node(test)


def test_a_doubt_outlives_a_restart() -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(14)
        await scene.restart()
        scene.log.turn_over()
        scene.follow()
        await scene.print_for(20)
        await scene.restart()
        scene.follow()
        await scene.print_for(5)

        assert (await scene.end()).reason == "MayBeIncomplete"

    on_a_node(test)


def test_two_operators_at_once_do_not_double_a_line() -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(12)
        rival = scene.process()
        rival.follow(KEY, ALL, running("pod"))
        await scene.print_for(25)
        scene.log.end()
        pod = ended("pod", scene.clock.now())
        rival.learn(KEY.uid, [pod])
        await rival.finish(KEY, ALL, [pod])

        assert (await scene.end()).reason == "Captured"
        assert scene.store.lines(KEY) == scene.log.printed
        await rival.stop()

    on_a_node(test)


def test_while_the_record_is_away_reading_stops_and_then_goes_on() -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(14)
        scene.store.is_away = True
        await scene.print_for(120)
        scene.log.end()
        pod = ended("pod", scene.clock.now())
        scene.capture.learn(KEY.uid, [pod])
        for _ in range(20):
            with pytest.raises(RecordUnavailable):
                await scene.capture.finish(KEY, ALL, [pod])
            await asyncio.sleep(5)
        scene.store.is_away = False

        assert (await scene.finish(pod)).reason == "Captured"
        assert scene.store.lines(KEY) == scene.log.printed

    on_a_node(test)


def test_a_pod_that_is_gone_is_said_to_be() -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(3)
        del scene.node.logs["pod"]

        summary = await scene.end()

        assert (summary.reason, summary.is_complete, summary.lines) == ("PodGone", False, 0)

    on_a_node(test)


def test_pods_that_nobody_saw_are_said_to_be_gone() -> None:
    async def test(scene: Scene) -> None:
        await scene.print_for(1)
        scene.log.end()
        pod = ended("pod", scene.clock.now())
        scene.capture.follow(KEY, ALL, pod)
        await asyncio.sleep(1)

        summary = await scene.capture.finish(KEY, ALL, [pod], unseen=1)

        assert summary is not None
        assert (summary.reason, summary.lines) == ("PodGone", 4)

    on_a_node(test)


def test_an_unreachable_node_holds_the_outcome_up_for_half_a_minute() -> None:
    async def test(scene: Scene) -> None:
        scene.node.is_away = True
        await scene.print_for(3)
        ended_at = scene.clock.monotonic()

        summary = await scene.end()

        assert (summary.reason, summary.is_complete) == ("NodeUnreachable", False)
        assert 30 <= scene.clock.monotonic() - ended_at <= 40

    on_a_node(test)


def test_whoever_waits_for_a_slow_log_is_woken_when_it_is_read() -> None:
    async def test(scene: Scene) -> None:
        scene.log.write(*[b"x" * 1000] * 5000)
        scene.log.end()
        pod = ended("pod", scene.clock.now())

        assert await scene.capture.finish(KEY, ALL, [pod]) is None
        await asyncio.sleep(6)

        assert scene.woken == [KEY.uid]
        summary = await scene.capture.finish(KEY, ALL, [pod])
        assert summary is not None
        assert summary.reason == "Captured"

    on_a_node(test)


def test_the_last_lines_of_a_pod_that_is_stopped_are_there() -> None:
    async def test(scene: Scene) -> None:
        await scene.print_for(3)
        await scene.capture.attach(KEY, ALL, running("pod"))
        del scene.node.logs["pod"]
        await scene.print_for(5)
        scene.log.write(b"last words")

        summary = await scene.end()

        assert summary.reason == "Captured"
        assert scene.store.lines(KEY)[-1] == b"last words"
        assert scene.store.lines(KEY) == scene.log.printed

    on_a_node(test)


def test_a_container_that_prints_nothing_holds_no_stop_up() -> None:
    async def test(scene: Scene) -> None:
        scene.node.is_away = True
        began = scene.clock.monotonic()

        await scene.capture.attach(KEY, ALL, running("pod"))

        assert scene.clock.monotonic() - began <= 2

    on_a_node(test)


def test_output_beyond_the_limit_keeps_head_and_end_and_a_count() -> None:
    async def test(scene: Scene) -> None:
        scene.log.write(*(b"%d " % number + b"x" * 1000 for number in range(24 * 1024)))

        scene.log.end()
        pod = ended("pod", scene.clock.now())
        scene.capture.follow(KEY, ALL, pod)
        began = scene.clock.monotonic()
        await asyncio.sleep(40)
        summary = await scene.finish(pod)

        assert (summary.reason, summary.is_complete) == ("Truncated", True)
        stored = scene.store.lines(KEY)
        assert summary.lines == 24 * 1024
        assert summary.dropped_lines == 24 * 1024 - len(stored)
        assert sum(map(len, stored)) <= 16 * MIB
        assert stored[:1000] == scene.log.printed[:1000]
        assert stored[-15000:] == scene.log.printed[-15000:]
        assert scene.clock.monotonic() - began >= 23, "no more than 1 MiB a second is read"

    on_a_node(test)


def test_the_output_of_every_attempt_is_kept_and_the_last_one_is_shown() -> None:
    async def test(scene: Scene) -> None:
        await scene.print_for(2)
        scene.log.end()
        first = ended("pod", scene.clock.now())
        scene.capture.follow(KEY, ALL, first)
        began = scene.clock.now()
        second = scene.start_container("second")
        second.write(b"again")
        await asyncio.sleep(1)
        second.end()
        pods = (first, ended("second", scene.clock.now(), started_at=began))

        summary = await scene.finish(*pods)

        assert summary.tail == "again\n"
        assert scene.store.lines(KEY) == [*scene.log.printed, b"again"]

    on_a_node(test)


UNSEEN_STARTS: dict[str, tuple[float, bool, str]] = {
    "seen soon enough": (9, True, "Captured"),
    "first line soon after the start": (60, False, "Captured"),
    "turned over before anybody looked": (60, True, "MayBeIncomplete"),
}


@pytest.mark.parametrize("case", UNSEEN_STARTS.values(), ids=UNSEEN_STARTS)
def test_a_beginning_that_nobody_saw(case: tuple[float, bool, str]) -> None:
    seconds, is_turned_over, reason = case

    async def test(scene: Scene) -> None:
        await scene.print_for(seconds)
        if is_turned_over and seconds > 10:
            scene.log.turn_over()
            await scene.print_for(1)
        scene.capture = scene.process()
        scene.follow()
        await scene.print_for(3)

        assert (await scene.end()).reason == reason

    on_a_node(test)


def test_of_many_long_runs_some_are_followed_and_all_are_kept() -> None:
    async def test(scene: Scene) -> None:
        count = 300
        keys = [RunKey(TIME_ZERO, Uid(f"run-{number}")) for number in range(count)]
        for number, key in enumerate(keys):
            scene.start_container(f"pod-{number}")
            scene.capture.follow(key, ALL, running(f"pod-{number}"))
        for second in range(60):
            for number in range(count):
                scene.node.logs[f"pod-{number}"].write(b"second %d" % second)
            await asyncio.sleep(1)
        assert scene.node.follows == 200
        now = scene.clock.now()
        for number in range(count):
            scene.node.logs[f"pod-{number}"].end()
            scene.capture.learn(keys[number].uid, [ended(f"pod-{number}", now)])
        await asyncio.sleep(10)
        for number, key in enumerate(keys):
            summary = await scene.capture.finish(key, ALL, [ended(f"pod-{number}", now)])
            assert summary is not None
            assert summary.reason == "Captured"
            assert scene.store.lines(key) == scene.node.logs[f"pod-{number}"].printed
        assert scene.node.most_follows == 200

    on_a_node(test)


def test_lines_are_masked_before_anybody_has_them() -> None:
    async def test(scene: Scene) -> None:
        wishes = LogWishes(masks=("tok_[a-z]+",), tail=True)
        with scene.live.follow(KEY.uid) as batches:
            scene.log.write(b"token: tok_secret")
            scene.log.end()
            pod = ended("pod", scene.clock.now())

            summary = await scene.capture.finish(KEY, wishes, [pod])
            await scene.capture.forget(KEY.uid)
            seen = [line async for batch in batches for line in batch.lines]

        assert summary is not None
        assert summary.tail == "token: ***\n"
        assert scene.store.lines(KEY) == [b"token: ***"]
        assert [line.partition(b" ")[2] for line in seen] == [b"token: ***"]

    on_a_node(test)


def test_runs_that_nobody_asks_about_are_let_go() -> None:
    async def test(scene: Scene) -> None:
        scene.follow()
        await scene.print_for(2)
        scene.log.end()
        scene.capture.learn(KEY.uid, [ended("pod", scene.clock.now())])
        await asyncio.sleep(1)

        assert scene.capture.followed(KEY.uid)
        await asyncio.sleep(timedelta(minutes=11).total_seconds())
        scene.start_container("other")
        scene.capture.follow(RunKey(TIME_ZERO, Uid("other")), ALL, running("other"))

        assert not scene.capture.followed(KEY.uid)

    on_a_node(test)


def test_all_readers_together_keep_to_a_rate() -> None:
    async def test(scene: Scene) -> None:
        pods = []
        for number in range(8):
            log = scene.start_container(f"chatty-{number}")
            log.write(*[b"x" * 1000] * 500)
            log.end()
            pods.append(ended(f"chatty-{number}", scene.clock.now()))
        began = scene.clock.monotonic()

        await scene.finish(*pods)

        assert scene.clock.monotonic() - began >= 6, "4 MB, half a MiB a second"

    on_a_node(test, CaptureLimits(bytes_per_second=MIB // 2))


def test_logs_beyond_those_that_are_followed_are_not_all_opened_at_once() -> None:
    async def test(scene: Scene) -> None:
        for number in range(400):
            scene.start_container(f"pod-{number}")
            key = RunKey(TIME_ZERO, Uid(f"run-{number}"))
            scene.capture.follow(key, ALL, running(f"pod-{number}", TIME_ZERO - timedelta(hours=1)))
        await asyncio.sleep(0.5)
        assert scene.node.opened.count("follow") == 200
        assert scene.node.opened.count("read") < 60
        await asyncio.sleep(5)
        assert scene.node.opened.count("read") == 200

    on_a_node(test)


def test_a_server_that_follows_no_log_is_asked_as_seldom_as_where_none_is_followed() -> None:
    async def test(scene: Scene) -> None:
        scene.node.can_follow = False
        scene.follow()
        await asyncio.sleep(300)
        scene.log.write(b"a late word")
        await asyncio.sleep(30)
        assert scene.store.lines(KEY) == [b"a late word"]
        assert scene.log.reads < 40
        assert (await scene.end()).lines == 1

    on_a_node(test)
