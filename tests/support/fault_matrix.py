"""The fault matrix: every fault, what must happen, and the tests that prove it.

`make faults` runs these tests alone and prints the table. A test is named as pytest names it, from the
folder of the tests on; one that is not there is an error. With `record_property("did", text)` a test says
in its own words what happened.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Under each fault stands what must happen, then its tests; after a name in capitals, their parameters.
_TESTS = {
    "MODEL": ("execution/test_isolation.py::test_every_model_ends_as_a_record_with_the_reason",),
    "MIRROR": (
        "datasets/test_download.py::test_a_misbehaving_mirror_is_given_up_and_nothing_of_it_is_kept",
        "datasets/test_download.py::test_the_next_mirror_delivers_instead",
    ),
}
_MATRIX = """
## A model
raises in import, build, fit or predict
  the trial is `failed`, with the exception and its traceback
  MODEL raises_in_import raises_in_build raising raises_in_predict
raises what cannot be printed, or SystemExit
  the same
  MODEL unprintable leaving
returns the wrong length, shape or dtype
  the trial is `invalid`, with what is wrong
  MODEL wrong_length no_answer ragged wrong_dtype
returns labels that do not exist
  the trial is `invalid`, with what is wrong
  MODEL unknown_labels
returns NaN as probabilities, or none that sum to 1
  the trial is `invalid`, with what is wrong
  MODEL nan_probabilities wrong_sums wrong_columns
returns probabilities that disagree with its labels
  the trial is `invalid`, with what is wrong
  MODEL disagreeing
has no fit, or no build once imported
  the trial is `invalid`, with what is wrong
  MODEL no_fit rebound
needs a library that is not there
  the trial is `unavailable`
  MODEL missing_library
never returns
  the trial is a `timeout`, ended with all its processes at the limit
  MODEL hanging
  execution/test_isolation.py::test_a_time_limit_is_kept_whatever_the_model_ignores[hanging]
ignores SIGTERM
  the same, three seconds later
  MODEL stubborn
  execution/test_isolation.py::test_a_time_limit_is_kept_whatever_the_model_ignores[stubborn]
segfaults, aborts
  the trial is `crashed`, with the signal or the exit status
  MODEL crashing aborting
leaves with os._exit(0)
  the trial is `crashed`, not ok
  MODEL exiting
is killed by a signal from elsewhere
  the trial is `crashed`, with the signal or the exit status, which mnistbench did not send
  MODEL signalling
is killed by the kernel for lack of memory
  the trial is `out_of_memory`, distinguished from a crash
  execution/test_isolation.py::test_a_kill_by_the_kernel_is_reported_as_out_of_memory
allocates without end, or too much at once: seen by the watch
  the trial is `out_of_memory` at its limit
  MODEL allocating asking_too_much
allocates without end: held by a control group (version 2)
  the kernel ends all of the trial at its limit; it is `out_of_memory`
  execution/test_cgroup.py::test_the_kernel_ends_a_trial_at_its_memory_limit
starts children that outlive it, or flee
  they are gone when its record is there
  MODEL escaping fleeing
  execution/test_isolation.py::test_no_model_leaves_a_process_or_a_file_behind
starts children that hide where they come from: held by a control group
  they are gone when its record is there
  execution/test_cgroup.py::test_a_process_that_hides_its_origin_is_ended_with_its_group
forks without end
  it is stopped at 512 processes; the trial is `failed`, and none is left
  execution/test_isolation.py::test_a_model_that_forks_without_end_is_stopped
prints without end
  the log keeps its head and its tail, and says what is missing
  MODEL printing
  execution/test_isolation.py::test_the_log_keeps_the_beginning_and_the_end
  execution/test_faults.py::test_a_gigabyte_of_output_is_drained_and_left_out
reads stdin; closes or replaces stdout
  the trial is ok
  MODEL reading closing_stdout replacing_stdout
changes the folder, the environment, the random state, the signal handlers
  the trial is ok, and the next one does not notice
  MODEL moving
leaves threads running
  the trial is ok, and its process ends
  MODEL leaving_a_thread
deletes its own files, or forges its result
  the trial is `crashed`, with the signal or the exit status
  MODEL removing_results forging
is a file with a syntax error, without `build`, or with a `build` that cannot be called
  the trial is `invalid`, with what is wrong; no process is started
  execution/test_isolation.py::test_a_broken_file_is_invalid_without_a_process
  plan/test_models.py::test_a_broken_file_is_a_problem_and_no_exception
is a file whose name is no name
  the trial is `invalid`, with what is wrong
  plan/test_models.py::test_names_start_with_a_letter_and_hold_digits_hyphens_and_underscores
has the name of another model
  the command is refused, and both files are named
  cli/test_cli.py::test_two_models_of_one_name_are_refused
  cli/test_cli.py::test_two_models_of_one_name_are_refused
is a file that changes while the run goes on
  the trial is `invalid`, with what is wrong
  execution/test_own_code.py::test_a_model_is_not_run_if_its_file_or_one_beside_it_changed_after_the_plan

## The run
kill -9 at a random moment
  after --resume the records are those of an undisturbed run, no trial with a record was started again, \
no process and no temporary file is left
  execution/test_faults.py::test_a_run_killed_at_2_moments_loses_nothing
  execution/test_faults.py::test_a_run_killed_at_100_moments_loses_nothing
  execution/test_isolation.py::test_a_killed_parent_takes_its_trial_along_and_the_next_one_clears_up
Ctrl-C or SIGTERM at a random moment
  status 130, no traceback, nothing left; after --resume as if undisturbed
  execution/test_faults.py::test_a_run_interrupted_at_20_moments_loses_nothing
  cli/test_run.py::test_an_interrupted_run_ends_all_trials_keeps_what_is_done_and_resumes
Ctrl-C, SIGTERM or a hang-up while the terminal is opened or closed
  it waits until the terminal can be put right
  cli/test_interruptions.py::test_a_signal_while_the_terminal_is_opened_or_closed_waits_until_it_can_be_closed
  cli/test_run.py::test_a_terminated_run_restores_the_terminal
power is lost while a record is written
  the torn line is no record, and the next one replaces it
  runs/test_folder.py::test_a_record_torn_at_any_byte_is_ignored_and_replaced
the disk is full before the first trial
  a clear message, and nothing left behind
  execution/test_faults.py::test_a_full_disk_starts_no_run
the disk is full while a record or its predictions are written
  the run ends with what to do, finished records stay, --resume goes on once there is room
  execution/test_faults.py::test_a_disk_that_fills_up_in_mid_run_loses_nothing
the disk is full while the report is written
  the records stay, and the message says what to do
  execution/test_faults.py::test_a_report_that_finds_no_room_leaves_the_records
the disk of the temporary files is full or gone
  the run ends with what to do
  execution/test_isolation.py::test_an_unavailable_temporary_folder_is_reported
the results folder is read-only
  each command says so and what to do; what only reads still works
  execution/test_faults.py::test_a_read_only_results_folder_is_reported
the results folder is deleted under the run
  the run ends with a clear message, and no process is left
  execution/test_faults.py::test_results_deleted_under_the_run_are_reported
the clock is set back during a trial
  no duration is wrong
  execution/test_faults.py::test_a_clock_that_is_set_back_spoils_no_duration
  execution/test_faults.py::test_only_the_age_of_files_is_read_from_the_clock
two runs start in one results folder at once
  each has a folder of its own, and both finish
  execution/test_faults.py::test_two_runs_at_once_do_not_disturb_each_other
two runners go on with one run at once
  the second one is refused; the first one is not disturbed
  execution/test_faults.py::test_a_second_runner_of_the_same_run_is_refused
a run folder was copied from another machine
  it is listed and reported; --resume names what is not here
  execution/test_faults.py::test_a_run_copied_from_another_machine_is_reported_but_not_gone_on_with
a run folder is of an older or newer schema version
  it is reported with what to do; `runs` lists the rest
  execution/test_faults.py::test_a_run_of_another_schema_version_is_reported

## The data
a mirror answers 200 with HTML
  the mirror is given up, nothing of it is kept, the next one is asked
  MIRROR html
a mirror serves the wrong content, too few of them, or none
  the mirror is given up, nothing of it is kept, the next one is asked
  MIRROR wrong short missing garbage
a mirror hangs or drips one byte a second
  the mirror is given up, nothing of it is kept, the next one is asked
  MIRROR silent drip dripchunks dripheaders
a mirror cuts off in mid-file
  the mirror is given up, nothing of it is kept, the next one is asked
  MIRROR cut
a mirror redirects in circles
  the mirror is given up, nothing of it is kept, the next one is asked
  MIRROR circle
a mirror refuses, or its name is unknown
  the mirror is given up, nothing of it is kept, the next one is asked
  datasets/test_download.py::test_mirrors_are_tried_in_order_and_each_failure_is_reported
a mirror sends without end
  the mirror is given up, nothing of it is kept, the next one is asked
  datasets/test_download.py::test_an_endless_file_is_refused
a proxy is set in the environment, alive or dead
  it is used; a dead one is named as the cause
  datasets/test_download.py::test_a_proxy_from_the_environment_is_used
  datasets/test_download.py::test_an_error_names_a_dead_proxy_as_the_cause
a gzip or IDX file is damaged at any byte: 20,000 mutated files
  never a crash, never a wrong array
  datasets/test_idx.py::test_10_000_damaged_gzip_files_never_give_a_wrong_array
  datasets/test_idx.py::test_10_000_damaged_plain_files_are_refused_or_are_other_valid_files
an .npz file is damaged at any byte: 5,000 mutated files
  never a crash, never a wrong array
  datasets/test_npz.py::test_5_000_damaged_files_never_give_a_wrong_array
a decompression bomb, or a header that claims 2^32 images
  it is refused, in little memory
  datasets/test_idx.py::test_a_decompression_bomb_takes_no_memory
  datasets/test_idx.py::test_a_plain_file_that_claims_2_to_the_32_images_takes_no_memory
  datasets/test_npz.py::test_claims_and_bombs_take_no_memory
the cache is read-only, or shared by several users
  what is there is used; what must be written is reported
  datasets/test_cache.py::TestSharedByUsers
the cache is on another disk
  all works
  datasets/test_mnist.py::test_the_cache_may_be_on_another_disk
the cache is half-written by a killed process, or damaged
  it is noticed and made again
  datasets/test_cache.py::test_a_process_killed_at_any_moment_leaves_no_corrupt_entry
  datasets/test_cache.py::test_damage_anywhere_is_detected_and_reported
  datasets/test_mnist.py::test_a_damaged_cache_is_detected_reported_and_repaired
the disk of the cache is full
  it is reported, and no partial file is left
  datasets/test_cache.py::test_a_full_disk_is_reported_and_leaves_no_partial_files
several processes fetch at once
  none disturbs another
  datasets/test_mnist.py::test_processes_that_fetch_at_once_do_not_disturb_each_other
  datasets/test_cache.py::test_concurrent_stores_disturb_neither_each_other_nor_a_reader
MNIST is unavailable
  the run goes on with digits, and says so
  cli/test_run.py::test_without_mnist_the_run_uses_digits_and_reports_it

## Several machines
a worker is killed in mid-trial
  its trial runs again elsewhere, once, and is marked
  execution/dask/test_cluster.py::test_a_trial_survives_the_death_of_its_worker_once
  execution/dask/test_cluster.py::test_the_second_death_of_its_worker_is_the_trials_end
the scheduler is lost
  finished records are kept, and the run resumes
  execution/dask/test_cluster.py::test_a_lost_scheduler_ends_the_run_with_its_records_kept_and_it_resumes
a worker has other versions of the libraries
  the report says so
  execution/dask/test_cluster.py::test_the_report_lists_which_versions_ran
a worker misses a library
  the trial is placed elsewhere, or is `unavailable`
  execution/dask/test_cluster.py::test_a_library_that_one_worker_has_places_the_trial_there
  execution/dask/test_cluster.py::test_a_library_that_no_worker_has_makes_the_trial_unavailable
Ctrl-C or kill -9 of the run
  no process is left on the workers
  execution/dask/test_cluster.py::test_ctrl_c_and_kill_leave_no_process_on_the_workers

## Security
a pickle lies in the cache, a data set or a run folder
  it is never loaded
  datasets/test_cache.py::test_a_pickle_in_place_of_an_array_is_not_loaded
  datasets/test_npz.py::test_nothing_is_ever_unpickled
  runs/test_predictions.py::test_nothing_is_ever_unpickled
a name leads out of its folder
  it is refused or made harmless
  datasets/test_folder.py::test_names_stay_inside_the_cache_and_harmless
  execution/test_runner.py::test_a_runs_name_cannot_lead_out_of_the_results_folder
  execution/test_faults.py::test_a_run_folder_from_elsewhere_cannot_write_outside_itself
a name or a message holds markup or control characters
  the report shows it as text
  report/test_page.py::test_names_and_messages_show_as_text
  report/test_page.py::test_a_long_log_is_cut_and_cannot_leave_its_block
"""


def _tests(lines: list[str]) -> Iterator[str]:
    for line in lines:
        name, *parameters = line.split()
        for test in _TESTS.get(name, (name,)):
            yield from (f"{test}[{parameter}]" for parameter in parameters) if parameters else (test,)


def _rows(group: str) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a group: the fault, what must happen, and the tests."""
    for block in group.replace("\n  ", "\t").splitlines():
        fault, must, *lines = block.split("\t")
        yield fault, must, *_tests(lines)


MATRIX = {
    name: tuple(_rows(rows))
    for group in _MATRIX.split("\n## ")[1:]
    for name, _, rows in [group.partition("\n")]
}


@dataclass
class Row:
    """What came of the tests of one fault."""

    fault: str
    must: str
    tests: tuple[str, ...]
    passed: int = 0
    failed: int = 0
    notes: dict[str, None] = field(default_factory=dict)

    def holds(self, nodeid: str) -> bool:
        """Return whether a test, or the class or the parametrized test it belongs to, proves this row."""
        name = nodeid.removeprefix("tests/")
        return any(name == test or name.startswith((f"{test}[", f"{test}::")) for test in self.tests)

    def note(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed += 1
            crash = getattr(report.longrepr, "reprcrash", None)
            self.notes = {str(crash.message if crash else report.longrepr).splitlines()[0][:200]: None}
        elif report.skipped:
            self.notes[str(report.longrepr[2]).removeprefix("Skipped: ")] = None
        elif report.when == "call":
            self.passed += 1
            self.notes |= {str(text): None for name, text in report.user_properties if name == "did"}

    def did(self) -> Text:
        notes = "; ".join(self.notes)
        if self.failed:
            return Text(f"FAILED {self.failed} of {self.failed + self.passed} tests: {notes}", "red")
        if not self.passed:
            return Text(f"not tried here: {notes or 'its tests were left out'}", "yellow")
        what = notes or "as it must"
        return Text(f"{what} ({self.passed} tests)" if self.passed > 1 else what, "green")


class FaultTable:
    """Runs the tests of the matrix and prints what came of them."""

    def __init__(self) -> None:
        self.groups = {
            group: [Row(fault, must, tests) for fault, must, *tests in rows] for group, rows in MATRIX.items()
        }

    @property
    def rows(self) -> list[Row]:
        return [row for rows in self.groups.values() for row in rows]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        missing = [
            test
            for row in self.rows
            for test in row.tests
            if not any(Row("", "", (test,)).holds(item.nodeid) for item in items)
        ]
        if missing:
            raise pytest.UsageError("there are no such tests: " + ", ".join(missing))
        chosen = [item for item in items if any(row.holds(item.nodeid) for row in self.rows)]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for row in self.rows:
            if row.holds(report.nodeid):
                row.note(report)

    def pytest_terminal_summary(self, config: pytest.Config) -> None:
        if config.option.collectonly:
            return
        console = Console(highlight=False, width=None if Console().is_terminal else 140)
        for group, rows in self.groups.items():
            table = Table(
                title=f"Faults: {group.lower()}", title_justify="left", show_lines=True, expand=True
            )
            for heading, share in (("fault", 3), ("what must happen", 4), ("what did", 5)):
                table.add_column(heading, ratio=share, overflow="fold")
            for row in rows:
                table.add_row(Text(row.fault), Text(row.must), row.did())
            console.print(table)
        held = sum(row.passed > 0 and not row.failed for row in self.rows)
        untried = sum(not row.passed and not row.failed for row in self.rows)
        console.print(
            f"{held} of {len(self.rows)} faults led to what they must; {untried} could not be tried here."
        )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(FaultTable())
