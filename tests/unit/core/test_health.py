from __future__ import annotations

from msgspec.structs import replace

from lazarus_pit.core import health
from lazarus_pit.core.health import Finding, Vitals
from lazarus_pit.core.model import NEVER, Liveness, Look, Rules

RULES = Rules(
    heartbeat_stale_threshold=60.0,
    resurrect_after=120.0,
    stall_after=90.0,
    compute_limit=1000.0,
)
BORN = health.fresh(0.0)


def test_silence_is_worth_a_warning_first_and_is_death_later() -> None:
    found = [health.weigh(BORN, RULES, now) for now in (59.9, 60.0, 119.9, 120.0)]
    assert found == [Finding.FINE, Finding.STALE, Finding.STALE, Finding.SILENT]


def test_work_without_beats_is_not_silence() -> None:
    working = replace(BORN, progress=100.0)
    assert health.silent_at(working, RULES) == 220.0


def test_computing_is_forgiven_up_to_its_limit() -> None:
    assert health.silent_at(replace(BORN, computed=500.0), RULES) == 620.0
    assert health.silent_at(replace(BORN, computed=990.0), RULES) == 1000.0


def test_an_announced_step_is_waited_for() -> None:
    busy = health.beaten(BORN, None, 3000.0, 10.0)
    assert busy.busy_until == 3010.0
    assert health.silent_at(busy, RULES) == 3130.0
    assert health.stale_at(busy, RULES) == 3070.0
    assert health.beaten(busy, None, 0.0, 20.0).busy_until == 0.0


def test_a_beat_is_life_and_only_a_new_cycle_is_progress() -> None:
    once = health.beaten(BORN, 1, 0.0, 10.0)
    again = health.beaten(once, 1, 0.0, 20.0)
    assert (once.progress, again.progress, again.beat) == (10.0, 10.0, 20.0)


def test_a_stall_is_beats_that_go_on_without_progress() -> None:
    beating = replace(BORN, beat=95.0)
    assert health.weigh(beating, RULES, 95.0) is Finding.STALLED
    silent = replace(BORN, beat=50.0)
    assert health.weigh(silent, RULES, 95.0) is Finding.FINE
    assert health.stalled_at(beating, replace(RULES, stall_after=0.0)) == NEVER


def test_a_process_that_need_not_beat_is_never_silent() -> None:
    rules = replace(RULES, liveness=Liveness.PROCESS, stall_after=0.0)
    assert health.weigh(BORN, rules, 1e9) is Finding.FINE


def test_what_a_look_sees_moves_instants_forward_only() -> None:
    vitals = Vitals(beat=50.0, progress=50.0, computed=50.0)
    seen = health.confirmed(vitals, Look(beat_age=90.0, output_age=1.0, computing=True), 100.0)
    assert (seen.beat, seen.progress, seen.computed) == (50.0, 99.0, 100.0)
    still = health.confirmed(vitals, Look(computing=True, stopped=True), 100.0)
    assert still.computed == 50.0


def test_a_look_that_failed_is_no_ground() -> None:
    assert health.saw_nothing(Look())
    assert not health.saw_nothing(Look(computing=False))


def test_a_hang_needs_to_know_whether_it_computes() -> None:
    assert not health.is_ground(Look(output_age=500.0, files_age=500.0), Finding.SILENT)
    assert health.is_ground(Look(computing=False), Finding.SILENT)
    assert health.is_ground(Look(stopped=True), Finding.SILENT)
    assert not health.is_ground(Look(computing=True, files_age=500.0), Finding.SILENT)
    assert health.is_ground(Look(computing=True, output_age=500.0), Finding.SILENT)
    assert not health.is_ground(Look(stopped=False), Finding.SILENT)


def test_a_stall_needs_to_have_seen_output_or_files() -> None:
    assert not health.is_ground(Look(computing=False), Finding.STALLED)
    assert health.is_ground(Look(files_age=3.0), Finding.STALLED)


def test_what_was_announced_outlasts_a_pause() -> None:
    busy = replace(BORN, busy_until=500.0, cycle=4)
    assert health.resumed(busy, 300.0, gap=100.0) == Vitals(
        beat=300.0, progress=300.0, computed=300.0, busy_until=600.0, cycle=4
    )
    assert health.resumed(BORN, 300.0, gap=100.0).busy_until == 0.0


def test_only_a_beat_that_arrived_was_heard() -> None:
    assert (BORN.heard, health.resumed(BORN, 300.0).heard) == (0.0, 0.0)
    beating = health.beaten(BORN, None, 0.0, 10.0)
    assert (beating.heard, health.resumed(beating, 300.0).heard) == (10.0, 10.0)
    assert health.confirmed(BORN, Look(beat_age=5.0), 100.0).heard == 95.0
    assert health.confirmed(BORN, Look(output_age=5.0), 100.0).heard == 0.0


def test_the_youngest_sign_of_a_look() -> None:
    assert health.youngest(Look(computing=True)) == NEVER
    assert health.youngest(Look(beat_age=9.0, output_age=2.0, files_age=4.0)) == 2.0
