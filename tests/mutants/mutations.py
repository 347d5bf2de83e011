"""The mutations: each replaces an exact text of the sources by a wrong one, and names the test that must catch it."""

from dataclasses import dataclass

SOURCE = "src/rds_snap_backup"
AUDIT = "tests/integration/test_audit.py"
CONTENTS = "tests/unit/commvault/test_contents.py"
GATHERING = "tests/unit/audit/test_gathering.py"
VERDICTS = "tests/unit/audit/test_verdicts.py"
SHARING, JOB, DOUBT, OUTCOME, TIME, OPENING = (
    f"tests/unit/core/test_{topic}.py" for topic in ("sharing", "jobs", "doubt", "outcomes", "time", "opening")
)
CORNERS = "tests/property/test_corners.py"
WORLD = "tests/property/test_world.py"
EXPLAIN = "tests/property/test_explain.py"
DELIVERIES = "tests/integration/test_deliveries.py"
RECORDS = "tests/unit/ledger/test_records.py"
LEDGER = "tests/unit/ledger/test_submissions.py"
TABLE = "tests/unit/ledger/test_table.py"
POLLING = "tests/unit/backup/test_polling.py"
QUEUES = "tests/unit/messaging/test_queues.py"
NOTICES = "tests/unit/messaging/test_notifications.py"
STATUSES = "tests/unit/rds/test_statuses.py"
JOBS = "tests/unit/commvault/test_jobs.py"
TOKEN = "tests/integration/test_token.py"


@dataclass(frozen=True, slots=True)
class Mutation:
    """A wrong text in the place of a right one in a module of the product; `test` must fail."""

    name: str
    module: str
    right: str
    wrong: str
    test: str

    @property
    def path(self) -> str:
        """The file that it changes."""
        return f"{SOURCE}/{self.module}.py"

    def applied_to(self, text: str) -> str:
        """Return the text with the mutation; raise ValueError unless what it replaces is there exactly once."""
        if text.count(self.right) != 1:
            raise ValueError(f"{self.name}: {self.path} has its text {text.count(self.right)} times, not once")
        return text.replace(self.right, self.wrong)


MUTATIONS = (
    # ---- The core: who has a subclient, and who joins
    Mutation(
        "a killed job may be joined",
        "core/starting",
        "is_good = end in COMPLETED",
        'is_good = end in {*COMPLETED, "killed"}',
        f"{SHARING}::test_a_trigger_is_satisfied_by_a_job_that_began_after_it",
    ),
    Mutation(
        "a last try may be joined",
        "core/starting",
        "is_good = theirs.failures < claimer.pin.retries",
        "is_good = True",
        f"{SHARING}::test_a_trigger_is_satisfied_by_a_job_that_began_after_it",
    ),
    Mutation(
        "a job that began before the trigger satisfies it",
        "core/starting",
        "if is_good and job.began >= backup.moment and covers(job.level, level):",
        "if is_good and job.began >= backup.moment - 900 and covers(job.level, level):",
        f"{SHARING}::test_a_trigger_is_satisfied_by_a_job_that_began_after_it",
    ),
    Mutation(
        "a job of a lesser level satisfies",
        "core/starting",
        "if is_good and job.began >= backup.moment and covers(job.level, level):",
        "if is_good and job.began >= backup.moment:",
        f"{SHARING}::test_a_trigger_is_satisfied_by_a_job_that_began_after_it",
    ),
    Mutation(
        "the last completed job satisfies whenever it began",
        "core/starting",
        "if last and last.started >= backup.moment and covers(last.level, level):",
        "if last and covers(last.level, level):",
        f"{SHARING}::test_a_trigger_is_satisfied_by_a_job_that_began_after_it",
    ),
    Mutation(
        "a joined backup keeps its old error",
        "core/starting",
        'Ended("joined", *satisfying), now)',
        'Ended("joined", *satisfying, error=backup.error), now)',
        f"{SHARING}::test_who_waits_for_a_deferred_claimer_joins_its_job",
    ),
    Mutation(
        "a retry is satisfied by a job that began before the one that failed",
        "core/applying",
        "            moment=max(min(row.started, self._now), attempt.began),\n",
        "",
        f"{SHARING}::test_a_retry_is_not_satisfied_by_a_job_that_began_before_the_one_that_failed",
    ),
    Mutation(
        "a start claims nothing",
        "core/starting",
        "return Change(submission.without_old_attempts(), claimed)",
        "return Change(submission.without_old_attempts())",
        f"{SHARING}::test_a_busy_subclient_waits_and_the_others_of_its_group_go_at_once",
    ),
    Mutation(
        "a claimer in doubt frees its subclient when it is abandoned",
        "core/starting",
        "return doubted is not None and now < claimer.attempt_of(theirs).ended + room",
        "return False",
        f"{SHARING}::test_a_claimer_that_ended_in_doubt_keeps_the_subclient_for_its_window",
    ),
    Mutation(
        "an ended job keeps its subclient",
        "core/starting",
        "    if isinstance(theirs.phase, Ended):\n",
        "    if isinstance(theirs.phase, Ended) and theirs.phase.doubted:\n",
        f"{SHARING}::test_a_trigger_is_satisfied_by_a_job_that_began_after_it",
    ),
    Mutation(
        "a job without a row frees its subclient",
        "core/starting",
        "claimer.created <= submission.created\n    return True\n",
        'claimer.created <= submission.created\n    return type(theirs.phase).__name__ != "Named"\n',
        f"{SHARING}::test_a_job_of_which_no_row_has_told_keeps_its_subclients",
    ),
    Mutation(
        "a lost message keeps a subclient for ever",
        "core/starting",
        "if now > claimer.last_due + PASSED_OVER_SECONDS:",
        "if now < 0:",
        f"{SHARING}::test_a_claimer_is_passed_over_after_six_hours_of_silence",
    ),
    Mutation(
        "a claimer is passed over after an hour",
        "core/starting",
        "PASSED_OVER_SECONDS = 6 * HOUR",
        "PASSED_OVER_SECONDS = HOUR",
        f"{SHARING}::test_a_claimer_is_passed_over_after_six_hours_of_silence",
    ),
    Mutation(
        "a younger one that waits keeps out an older one",
        "core/starting",
        "return patience_of(theirs.phase).keeps_claim and claimer.created <= submission.created",
        "return patience_of(theirs.phase).keeps_claim",
        f"{SHARING}::test_of_two_that_wait_the_older_goes_first",
    ),
    Mutation(
        "a claimer that cannot be read keeps nothing",
        "core/starting",
        "    if isinstance(claimer, Unreadable):\n        return True\n",
        "    if isinstance(claimer, Unreadable):\n        return False\n",
        f"{SHARING}::test_a_record_of_another_form_keeps_its_subclients",
    ),
    Mutation(
        "a job that others know is adopted",
        "core/applying",
        " and row.id not in item.known_ids\n",
        "\n",
        f"{SHARING}::test_of_several_rows_that_match_all_become_known",
    ),
    Mutation(
        "a job whose row shows whose it is does not become known",
        "core/applying",
        "                self._know(running.key, job_id)\n",
        "",
        f"{SHARING}::test_a_job_that_another_submission_got_is_not_adopted",
    ),
    Mutation(
        "a job begins by the CommServe's clock however far it is ahead",
        "core/applying",
        "began = attempt.earliest_start(min(row.started, seen)) if row.started else job.began",
        "began = attempt.earliest_start(row.started) if row.started else job.began",
        f"{SHARING}::test_a_job_does_not_begin_after_it_was_first_seen_by_a_clock_that_is_ahead",
    ),
    # ---- The core: jobs
    Mutation(
        "a row without a start forgets the start",
        "core/applying",
        "began = attempt.earliest_start(min(row.started, seen)) if row.started else job.began",
        "began = attempt.earliest_start(min(row.started, seen))",
        f"{JOB}::test_a_start_that_moves_or_is_unknown_proves_nothing",
    ),
    Mutation(
        "a retry is of the document's level",
        "core/starting",
        "if backup.level and not covers(submission.pin.level, backup.level):",
        "if backup.level and covers(submission.pin.level, backup.level):",
        f"{JOB}::test_a_retry_is_never_of_a_lesser_level",
    ),
    Mutation(
        "a retry keeps the refusals of its group",
        "core/applying",
        "            refusals=0,\n            pauses=0,\n",
        "            pauses=0,\n",
        f"{JOB}::test_a_retry_begins_without_the_refusals_of_its_group",
    ),
    Mutation(
        "a failed job is started again once too often",
        "core/applying",
        'case "failed" if backup.failures < self.submission.pin.retries:',
        'case "failed" if backup.failures <= self.submission.pin.retries:',
        f"{JOB}::test_a_failed_job_is_started_again_as_often_as_was_pinned",
    ),
    Mutation(
        "a killed job is started again",
        "core/applying",
        'case "failed" if backup.failures < self.submission.pin.retries:',
        'case "failed" | "killed" if backup.failures < self.submission.pin.retries:',
        f"{JOB}::test_only_a_failed_job_is_started_again",
    ),
    Mutation(
        "retries of different attempts are told together",
        "core/applying",
        "together.setdefault((attempt.number, problem), [])",
        "together.setdefault((1, problem), [])",
        f"{JOB}::test_what_is_retried_is_told_for_each_attempt_and_reason",
    ),
    Mutation(
        "retries of different reasons are told together",
        "core/applying",
        "together.setdefault((attempt.number, problem), [])",
        "together.setdefault((attempt.number, self._retried[0][1]), [])",
        f"{JOB}::test_what_is_retried_is_told_for_each_attempt_and_reason",
    ),
    Mutation(
        "lost backups of different attempts share a notice",
        "core/elapsing",
        'return backup.attempt, backup.job.id if backup.job else ""',
        "return 1, str(bool(backup.job)) and ''",
        f"{JOB}::test_lost_jobs_of_different_attempts_are_told_apart",
    ),
    Mutation(
        "a job is lost at the first read that does not show it",
        "core/applying",
        "return absence.reads >= MISSING_READS and self._now >= absence.since + self._policy.missing_seconds",
        "return absence.reads >= 1",
        f"{JOB}::test_a_job_is_lost_when_complete_reads_do_not_show_it_for_long",
    ),
    Mutation(
        "two absences that lie an hour apart make a missing job",
        "core/applying",
        "return absence.reads >= MISSING_READS and self._now",
        "return self._now",
        f"{JOB}::test_a_row_that_comes_and_goes_is_no_missing_job",
    ),
    Mutation(
        "a missing job is read again only when a poll is due",
        "core/applying",
        "            pause = min(pause, self._policy.missing_seconds / READS_WHILE_MISSING)\n",
        "            pass\n",
        f"{JOB}::test_a_row_that_comes_and_goes_is_no_missing_job",
    ),
    Mutation(
        "absence is not forgotten when the row is back",
        "core/applying",
        "attempt, self._now), absence=None)",
        "attempt, self._now))",
        f"{JOB}::test_a_row_that_comes_and_goes_is_no_missing_job",
    ),
    Mutation(
        "the absence of named jobs is not forgotten when one is found",
        "core/applying",
        "untold=tuple(untold), absence=None)",
        "untold=tuple(untold))",
        f"{JOB}::test_missing_named_jobs_begin_anew_when_one_is_found",
    ),
    Mutation(
        "a job is lost by time alone",
        "core/applying",
        "        if phase.job.id not in self._read.absent:\n",
        "        if not phase.job.id:\n",
        f"{JOB}::test_a_job_that_there_was_no_time_to_ask_for_is_not_missing",
    ),
    Mutation(
        "the end of a job with a repeated ID is published",
        "core/applying",
        "if not row.may_be_of(backup.association) or _ended_before(row, attempt):",
        "if not row.may_be_of(backup.association):",
        f"{JOB}::test_an_id_that_was_counted_again_is_another_job",
    ),
    Mutation(
        "the end of another subclient's job is published",
        "core/applying",
        "if not row.may_be_of(backup.association) or _ended_before(row, attempt):",
        "if _ended_before(row, attempt):",
        f"{JOB}::test_a_row_that_becomes_anothers_is_another_job",
    ),
    Mutation(
        "named jobs whose rows have no names never end",
        "core/applying",
        "if any(job_id in self._read.absent or job_id in self._rows for job_id in untold):",
        "if any(job_id in self._read.absent for job_id in untold):",
        f"{JOB}::test_rows_that_never_get_names_end_as_missing",
    ),
    Mutation(
        "jobs that are given up without a row are adopted by others",
        "core/reading",
        "if isinstance(backup.phase, Named) and isinstance(now.phase, Ended)",
        "if isinstance(backup.phase, Ended) and isinstance(now.phase, Ended)",
        f"{JOB}::test_jobs_that_no_row_ever_shows_are_lost_and_known",
    ),
    Mutation(
        "FollowHours begins again when a row shows whose a job is",
        "core/applying",
        "Running(number, job, attempt.ended, self._now)",
        "Running(number, job, self._now, self._now)",
        f"{JOB}::test_a_job_is_followed_for_the_configured_time_since_its_answer",
    ),
    Mutation(
        "FollowHours of a retry begins with the submission",
        "core/answering",
        "Running(attempt.number, job, self._now, due)",
        "Running(attempt.number, job, self._submission.created, due)",
        f"{JOB}::test_a_job_is_followed_for_the_configured_time_since_its_answer",
    ),
    Mutation(
        "FollowHours begins with the attempt",
        "core/applying",
        "self._now >= phase.since + self._policy.follow_seconds",
        "self._now >= attempt.began + self._policy.follow_seconds",
        f"{JOB}::test_a_job_that_is_found_late_is_followed_since_then",
    ),
    Mutation(
        "only the running backups that are due are polled",
        "core/reading",
        "    if not any(_is_due(backup, now) for backup in followed):\n        followed = []\n",
        "    followed = [backup for backup in followed if _is_due(backup, now)]\n",
        f"{JOB}::test_running_backups_of_a_submission_are_polled_together",
    ),
    # ---- The core: doubt
    Mutation(
        "no such job is believed by the attempt's begin",
        "core/reading",
        "and self.begun >= attempt.ended + policy.reconcile_seconds",
        "and self.begun >= attempt.began + policy.reconcile_seconds",
        f"{DOUBT}::test_a_list_proves_absence_only_of_what_it_covers",
    ),
    Mutation(
        "a list proves absence of what began before it",
        "core/reading",
        "            and self.since <= attempt.began\n",
        "",
        f"{DOUBT}::test_a_list_proves_absence_only_of_what_it_covers",
    ),
    Mutation(
        "a list proves absence of other clients' jobs",
        "core/reading",
        "            and backup.association.client_name in self.clients\n",
        "",
        f"{DOUBT}::test_a_list_proves_absence_only_of_what_it_covers",
    ),
    Mutation(
        "a part of a list proves absence",
        "core/reading",
        "            self.scan is None\n            and",
        "            True\n            and",
        f"{DOUBT}::test_a_list_proves_absence_only_of_what_it_covers",
    ),
    Mutation(
        "a job that began just before its attempt is not adopted",
        "core/applying",
        "        earliest = attempt.began - CLOCK_SKEW_SECONDS\n",
        "        earliest = attempt.began\n",
        f"{DOUBT}::test_a_job_is_adopted_that_can_be_the_attempts",
    ),
    Mutation(
        "a job of another user is adopted",
        "core/applying",
        "            and not (row.user and item.user and row.user != item.user)\n",
        "",
        f"{DOUBT}::test_a_job_is_adopted_that_can_be_the_attempts",
    ),
    Mutation(
        "a job without a start is adopted by who is opened again",
        "core/applying",
        "if row.started else is_claimer",
        "if row.started else True",
        f"{DOUBT}::test_a_reopened_backup_leaves_a_job_without_a_start_to_the_claimer",
    ),
    Mutation(
        "the earliest row is adopted whatever its level",
        "core/applying",
        "key=lambda row: (row.level != attempt.level, row.started, int(row.id))",
        "key=lambda row: (row.started, int(row.id))",
        f"{DOUBT}::test_the_job_of_the_level_that_was_sent_is_adopted_first_then_the_earliest",
    ),
    Mutation(
        "a row without names is no reason to doubt",
        "core/applying",
        "                and not self._is_nameless(backup, attempt, listing)\n",
        "",
        f"{DOUBT}::test_no_job_is_not_believed_while_a_row_without_names_may_be_it",
    ),
    Mutation(
        "no such job is believed a pause after the window",
        "core/applying",
        "            due = min(due, max(believed, self._now + 1))\n",
        "            pass\n",
        f"{DOUBT}::test_no_job_is_believed_as_soon_as_the_window_is_over",
    ),
    Mutation(
        "jobs are looked for since the latest attempt",
        "core/reading",
        "min(attempt.began for attempt in attempts)",
        "max(attempt.began for attempt in attempts)",
        f"{DOUBT}::test_what_is_looked_for_begins_with_the_earliest_attempt",
    ),
    Mutation(
        "a list that was read in the window is fresh after it",
        "core/reading",
        "max((time for time in believed if time <= now), default=0)",
        "min((time for time in believed if time <= now - 1000), default=0)",
        f"{DOUBT}::test_all_that_is_in_doubt_is_looked_for_together",
    ),
    Mutation(
        "a failure forgets the place in a long list",
        "core/applying",
        "read.listing.scan if read.listing else submission.scan",
        "read.listing.scan if read.listing else None",
        f"{DOUBT}::test_the_place_in_a_long_list_outlives_a_poll_and_a_failure",
    ),
    Mutation(
        "the inventory decides about all that await it",
        "core/applying",
        "case Unlisted(due=due) if due > now:",
        "case Unlisted(due=due) if due > now + 90_000:",
        f"{DOUBT}::test_the_inventory_decides_only_about_those_that_are_due",
    ),
    Mutation(
        "a group that is refused for a running job is never taken apart",
        "core/applying",
        "return replace(backup.moved_to(Waiting(self._now), self._now), refusals=backup.refusals + 1)",
        "return backup.moved_to(Waiting(self._now), self._now)",
        f"{DOUBT}::test_who_is_still_refused_for_a_running_job_is_sent_alone",
    ),
    Mutation(
        "a group that is refused for a name is never taken apart",
        "core/applying",
        "submission = submission.with_backup(replace(waiting, refusals=backup.refusals + 1))",
        "submission = submission.with_backup(waiting)",
        f"{DOUBT}::test_an_ineligible_name_is_rejected_alone",
    ),
    Mutation(
        "who waits for a foreign job is sent together with others",
        "core/applying",
        "return replace(backup.moved_to(waiting, self._now), refusals=ALONE).paused()",
        "return backup.moved_to(waiting, self._now).paused()",
        f"{DOUBT}::test_who_waits_for_a_foreign_job_is_sent_alone",
    ),
    Mutation(
        "what was read for an old version is applied to a new one",
        "core/coordinator",
        "                case Saved(saved) | Stale(saved):\n                    return saved\n"
        "                case Conflict():\n                    pass\n        return submission\n",
        "                case Saved(saved):\n                    return saved\n                case Stale(submission):\n"
        "                    pass\n                case Conflict():\n                    pass\n        return submission\n",
        f"{DOUBT}::test_what_was_read_for_another_version_touches_nothing_that_is_out",
    ),
    Mutation(
        "a contended reading is dropped",
        "core/coordinator",
        "                    return saved\n                case Conflict():\n                    pass\n        return submission\n",
        "                    return saved\n                case Conflict():\n                    return submission\n"
        "        return submission\n",
        f"{DOUBT}::test_what_was_read_is_applied_though_an_item_has_changed",
    ),
    Mutation(
        "an outcome that meets another save is dropped",
        "core/coordinator",
        "                case Stale(submission):\n                    pass\n",
        "                case Stale(submission):\n                    return submission\n",
        f"{DOUBT}::test_an_outcome_is_recorded_though_another_run_has_saved_meanwhile",
    ),
    Mutation(
        "a contended outcome is dropped",
        "core/coordinator",
        "                    items = yield ReadSubclients(tuple(items))\n",
        "                    break\n",
        f"{DOUBT}::test_an_outcome_is_recorded_though_its_item_has_changed",
    ),
    Mutation(
        "the jobs of an outcome that came too late are adopted by others",
        "core/coordinator",
        "items = tuple(item.knowing(*outcome.job_ids) for item in subclients.values())",
        "items = tuple(subclients.values())",
        f"{DOUBT}::test_an_outcome_of_which_the_attempt_is_not_out_is_reported_and_its_jobs_are_known",
    ),
    Mutation(
        "an outcome that came too late is not reported",
        "core/coordinator",
        '        """Report an outcome whose attempt is not out any more. Its jobs become known, unless they are still looked for."""\n'
        "        yield Drop(attempt, outcome)\n",
        '        """Report nothing."""\n',
        f"{DOUBT}::test_an_outcome_of_which_the_attempt_is_not_out_is_reported_and_its_jobs_are_known",
    ),
    Mutation(
        "a schedule without an answer is sent again",
        "core/elapsing",
        'submission.attempt_of(backup).task_type == "SCHEDULE"',
        'submission.attempt_of(backup).task_type == "IMMEDIATE" and False',
        f"{DOUBT}::test_a_schedule_without_an_answer_is_never_sent_again",
    ),
    # ---- The core: outcomes
    Mutation(
        "the pauses of a message are not counted",
        "core/answering",
        "Waiting(self._now + (seconds or pause), reason, problem), self._now).paused()",
        "Waiting(self._now + (seconds or pause), reason, problem), self._now)",
        f"{OUTCOME}::test_each_outcome_leads_to_one_phase",
    ),
    Mutation(
        "a job ID that is repeated counts twice",
        "core/answering",
        "job_ids = tuple(dict.fromkeys(outcome.job_ids))",
        "job_ids = outcome.job_ids",
        f"{OUTCOME}::test_job_ids_are_kept_once_and_only_a_single_one_is_known_at_once",
    ),
    Mutation(
        "a rate limit is waited for as any other error",
        "core/answering",
        'return answer.waits("throttled", problem, seconds)',
        'return answer.waits("throttled", problem)',
        f"{OUTCOME}::test_each_outcome_leads_to_one_phase",
    ),
    # ---- The core: times
    *(
        Mutation(
            f"{reason}: the time {'does not count' if counts else 'counts'} as trying",
            "core/phases",
            f"{right}Patience(counts={counts}",
            f"{right}Patience(counts={not counts}",
            f"{TIME}::test_a_phase_counts_as_trying_or_not_and_keeps_its_claim_or_not",
        )
        for reason, right, counts in (
            ("gathering", '"gathering": ', False),
            ("settling", '"settling": ', False),
            ("busy", '"busy": ', False),
            ("throttled", '"throttled": ', False),
            ("trying", '"trying": ', True),
            ("in doubt", "IN_DOUBT = ", False),
        )
    ),
    Mutation(
        "the last try is not at the end of RetryHours",
        "core/record",
        "return max(min(due, backup.tried.over_at(backup.phase, policy)), self.lease_end)",
        "return max(due, self.lease_end)",
        f"{TIME}::test_a_backup_without_a_job_ends_in_time_whatever_its_attempts_came_to",
    ),
    Mutation(
        "a doubt ends only when jobs can be read",
        "core/elapsing",
        "case Waiting() | Doubted() | Unlisted() if is_over(backup):",
        "case Waiting() | Unlisted() if is_over(backup):",
        f"{TIME}::test_a_backup_without_a_job_ends_in_time_whatever_its_attempts_came_to",
    ),
    Mutation(
        "named jobs that cannot be read never end",
        "core/elapsing",
        "case Named() if is_over(backup):",
        "case Named() if with_running and is_over(backup):",
        f"{TIME}::test_a_backup_without_a_job_ends_in_time_whatever_its_attempts_came_to",
    ),
    Mutation(
        "the end of a wait that does not count is not noted",
        "core/backups",
        "self.counted, self.uncounted + passed)",
        "self.counted, self.uncounted)",
        f"{TIME}::test_a_backup_without_a_job_ends_in_time_whatever_its_attempts_came_to",
    ),
    Mutation(
        "each wait that does not count begins its 72 hours again",
        "core/backups",
        "self.counted, self.uncounted + passed)",
        "self.counted, passed)",
        f"{TIME}::test_a_backup_without_a_job_ends_in_time_whatever_its_attempts_came_to",
    ),
    Mutation(
        "a wait that does not count never ends",
        "core/backups",
        "(0 if patience_of(phase).counts else max(spare, 0))",
        "(0 if patience_of(phase).counts else policy.uncounted_seconds)",
        f"{TIME}::test_time_that_does_not_count_is_72_hours_in_all",
    ),
    Mutation(
        "time that did not count before a failure is given again",
        "core/backups",
        "return Tried(at, 0, min(self.uncounted, policy.uncounted_seconds))",
        "return Tried(at)",
        f"{TIME}::test_a_failure_begins_the_time_again_but_not_what_did_not_count",
    ),
    Mutation(
        "the time of a retry begins with the failure",
        "core/applying",
        "tried=waiting.tried.again(due, self._policy)",
        "tried=waiting.tried.again(self._now, self._policy)",
        f"{TIME}::test_the_time_of_a_retry_begins_when_it_is_due",
    ),
    Mutation(
        "cut-off runs are counted in total",
        "core/answering",
        "replace(submission.with_attempt(attempt), cut_offs=0)",
        "submission.with_attempt(attempt)",
        f"{TIME}::test_five_leases_in_a_row_that_expired_end_what_has_no_job",
    ),
    Mutation(
        "a cut-off's doubt begins now",
        "core/elapsing",
        "backup.moved_to(doubted, attempt.lease_end)",
        "backup.moved_to(doubted, now)",
        f"{TIME}::test_the_time_after_a_cut_off_is_time_in_doubt",
    ),
    Mutation(
        "what is out after nine days wakes nobody with its lease",
        "core/record",
        "max(self.opened + MAX_OPEN_SECONDS, self.lease_end)",
        "self.opened + MAX_OPEN_SECONDS",
        f"{TIME}::test_what_is_out_after_nine_days_is_given_up_with_its_lease",
    ),
    Mutation(
        "the longest pause is an hour from a day after opening",
        "core/record",
        "if now < self.created + DAY else",
        "if now < self.opened + DAY else",
        f"{TIME}::test_the_longest_pause_is_an_hour_from_a_day_after_creation",
    ),
    Mutation(
        "a rate limit of one submission does not hold others",
        "core/starting",
        "elif inputs.throttled_until > now:",
        "elif inputs.throttled_until > now + 90_000:",
        f"{TIME}::test_a_rate_limit_holds_all_submissions_until_it_ends",
    ),
    Mutation(
        "a poll puts off a retry",
        "core/coordinator",
        "if submission.wake_at > now and not is_working:",
        "if submission.wake_at > now:",
        f"{TIME}::test_a_run_does_all_that_is_due_however_many_went_before",
    ),
    Mutation(
        "pauses between runs do not grow with their number",
        "core/backups",
        "LEAST_PAUSES = ((200, MAX_LATE_PAUSE), (100, MAX_PAUSE))",
        "LEAST_PAUSES = ((400, MAX_LATE_PAUSE), (100, MAX_PAUSE))",
        f"{TIME}::test_a_message_is_received_less_than_half_as_often_as_the_queue_allows",
    ),
    Mutation(
        "runs are not counted",
        "core/coordinator",
        "replace(submission, runs=submission.runs + 1, ran=now)",
        "replace(submission, ran=now)",
        f"{TIME}::test_each_run_that_does_something_is_counted_once",
    ),
    Mutation(
        "a submission is stuck while its lease lasts",
        "core/record",
        "return max(self.created, self.wake_at, self.lease_end)",
        "return max(self.created, self.wake_at)",
        f"{TIME}::test_a_submission_is_stuck_an_hour_after_something_was_due",
    ),
    Mutation(
        "what is unpublished is due since the newest of it",
        "core/record",
        "wake_at=self.outbox[0].at",
        "wake_at=self.outbox[-1].at",
        f"{TIME}::test_what_is_unpublished_is_due_since_the_first_of_it",
    ),
    Mutation(
        "attempts are never forgotten",
        "core/record",
        "for attempt in self.attempts if attempt.number in numbers))",
        "for attempt in self.attempts if attempt.number))",
        f"{TIME}::test_attempts_that_nothing_is_about_any_more_are_forgotten_except_the_newest",
    ),
    # ---- The core: how a submission begins and is opened again
    Mutation(
        "an event gathers from its arrival",
        "core/record",
        "return self.trigger.moment(self.created) + unasked + gathering.seconds",
        "return self.created + unasked + gathering.seconds",
        f"{OPENING}::test_an_event_is_sent_when_it_has_gathered_and_its_database_is_available",
    ),
    Mutation(
        "an event that could not be asked about gathers no longer",
        "core/record",
        "unasked = UNASKED_SETTLE_SECONDS if gathering.is_unasked else 0",
        "unasked = 0",
        f"{OPENING}::test_an_event_is_sent_when_it_has_gathered_and_its_database_is_available",
    ),
    Mutation(
        "an event's moment is the last look",
        "core/opening",
        "since = (gathering.available_since or now) if is_available else 0",
        "since = now if is_available else 0",
        f"{OPENING}::test_an_event_is_sent_when_it_has_gathered_and_its_database_is_available",
    ),
    Mutation(
        "an event's moment is the first look that showed it available",
        "core/opening",
        "since = (gathering.available_since or now) if is_available else 0",
        "since = gathering.available_since or (now if is_available else 0)",
        f"{OPENING}::test_an_event_is_sent_when_it_has_gathered_and_its_database_is_available",
    ),
    Mutation(
        "an event settles from its creation on",
        "core/opening",
        "submission.gathers_until(gathering) + policy.settle_seconds",
        "submission.created + policy.settle_seconds",
        f"{OPENING}::test_an_event_is_sent_when_it_has_gathered_and_its_database_is_available",
    ),
    Mutation(
        "an event gathers and settles before each attempt",
        "core/opening",
        "return replace(submission, gathering=None).changed(",
        "return submission.changed(",
        f"{OPENING}::test_neither_a_retry_nor_what_is_opened_again_gathers_or_settles_again",
    ),
    Mutation(
        "what had not settled is not said",
        "core/opening",
        "replace(submission, is_unsettled=True)",
        "replace(submission, is_unsettled=False)",
        f"{OPENING}::test_an_event_is_sent_when_it_has_gathered_and_its_database_is_available",
    ),
    Mutation(
        "an association that left the document is sent",
        "core/starting",
        "removed = [backup for backup in waiting if backup.key not in current]",
        "removed = [backup for backup in waiting if not current]",
        f"{OPENING}::test_an_association_that_left_the_document_is_rejected_and_an_added_one_is_not_sent",
    ),
    Mutation(
        "a letter opens its submission twice",
        "core/opening",
        "opened_letter=submission.letters,",
        "opened_letter=0,",
        f"{OPENING}::test_a_letter_opens_once_and_its_copies_continue",
    ),
    Mutation(
        "a letter opens up to itself",
        "core/opening",
        "opened_letter=submission.letters,",
        "opened_letter=letter,",
        f"{OPENING}::test_a_letter_opens_all_and_the_letters_of_before_open_nothing",
    ),
    Mutation(
        "cut-offs outlive a redrive",
        "core/opening",
        "cut_offs=0, runs=0,",
        "runs=0,",
        f"{OPENING}::test_what_is_opened_again_may_be_cut_off_as_often_again",
    ),
    Mutation(
        "failures outlive a redrive",
        "core/opening",
        "pauses=0, failures=0, refusals=0)",
        "pauses=0, refusals=0)",
        f"{OPENING}::test_what_is_opened_again_has_its_retries_and_days_again",
    ),
    Mutation(
        "the runs of before count after a redrive",
        "core/opening",
        "cut_offs=0, runs=0,",
        "cut_offs=0,",
        f"{OPENING}::test_what_is_opened_again_has_its_retries_and_days_again",
    ),
    Mutation(
        "what was tried before a redrive counts after it",
        "core/opening",
        "tried=Tried(now), pauses=0,",
        "pauses=0,",
        f"{OPENING}::test_a_letter_begins_pauses_and_the_time_for_trying_again",
    ),
    Mutation(
        "what was in doubt is sent again by a redrive",
        "core/opening",
        "phase = replace(doubted, due=now) if doubted else Waiting(now)",
        "phase = Waiting(now)",
        f"{OPENING}::test_what_was_abandoned_in_doubt_is_looked_for_first",
    ),
    # ---- The record
    Mutation(
        "a phase in a phase cannot be read",
        "ledger/records",
        "    if kind in _phases().values():\n",
        "    if kind is Phase:\n",
        f"{RECORDS}::test_a_record_is_read_as_it_was_written_whatever_it_has",
    ),
    Mutation(
        "an unknown field is lost",
        "ledger/records",
        '{**submission.unknown, "form": FORM,',
        '{"form": FORM,',
        f"{RECORDS}::test_a_field_that_this_version_does_not_know_is_written_back",
    ),
    Mutation(
        "a record of another form is read",
        "ledger/records",
        "        if form == FORM:\n",
        "        if form:\n",
        f"{RECORDS}::test_a_record_of_another_form_is_an_error_that_says_so",
    ),
    Mutation(
        "a record that DynamoDB would refuse is not cut",
        "ledger/records",
        "return text if len(text.encode()) <= MAX_BYTES else _Encoder(CUT_TEXT).text(submission)",
        "return text",
        f"{RECORDS}::test_what_dynamodb_would_refuse_is_cut",
    ),
    Mutation(
        "a long text stands twice",
        "ledger/records",
        "case str() if len(value) > LONG_TEXT:",
        "case str() if len(value) > 90_000:",
        f"{RECORDS}::test_what_has_its_default_takes_no_room_and_a_long_text_stands_once",
    ),
    Mutation(
        "reasons of a large group are not shortened",
        "core/record",
        "return text[: min(MAX_TEXT, MAX_TEXTS // max(len(self.backups), 1))]",
        "return text",
        f"{RECORDS}::test_the_largest_record_ends_in_one_save_and_all_ends_are_published",
    ),
    # ---- The function
    Mutation(
        "the message is sent after the request",
        "backup/deliveries",
        "not submission.backups or self._send(trigger, name)",
        "not submission.backups",
        f"{CORNERS}::test_the_message_is_sent_before_the_record_is_made_and_the_request_leaves",
    ),
    Mutation(
        "a repeated manual call does more than report",
        "backup/deliveries",
        'if known and trigger.kind == "manual":',
        'if known and trigger.kind == "rds":',
        f"{CORNERS}::test_a_manual_call_answers_with_the_job_and_its_repetition_only_reports",
    ),
    Mutation(
        "a run that leaves neither message nor record succeeds",
        "backup/deliveries",
        '            if trigger.kind != "manual" or not work.submission.version:\n',
        '            if trigger.kind == "manual" and work.submission.version:\n',
        f"{CORNERS}::test_a_run_that_leaves_neither_message_nor_record_fails",
    ),
    Mutation(
        "a message that waits is deleted",
        "backup/deliveries",
        "    if work.until is None:\n",
        "    if work.until:\n",
        f"{CORNERS}::test_a_manual_call_answers_with_the_job_and_its_repetition_only_reports",
    ),
    Mutation(
        "one message that fails stops its batch",
        "backup/deliveries",
        "                waiting.append((record, None))\n                failure = error\n",
        "                raise\n",
        f"{CORNERS}::test_one_message_that_fails_does_not_stop_its_batch",
    ),
    Mutation(
        "the list is read although the tag names a target",
        "backup/decisions",
        'if selection.reason != "tag":',
        'if selection.reason != "tags":',
        f"{DELIVERIES}::test_an_event_whose_tag_names_its_target_reads_the_named_documents_and_no_list",
    ),
    Mutation(
        "a backup that waits is explained as submitted",
        "backup/explaining",
        'case _, "waiting" if is_begun and after == before and after.due <= foreseen.attempts[-1].began:',
        'case _, "waiting" if after.attempt == before.attempt:',
        f"{EXPLAIN}::test_what_is_explained_happens",
    ),
    Mutation(
        "a redriven letter is explained by its record as it is",
        "backup/explaining",
        "match self.decisions.resume(message, known, past_cache=past_cache):",
        "match known or self.decisions.resume(message, known, past_cache=past_cache):",
        "tests/integration/test_explain.py::test_a_dead_letter_shows_what_its_redrive_would_do",
    ),
    Mutation(
        "`rejected` overwrites an existing record",
        "ledger/submissions",
        'return "attribute_not_exists(#pk)", {}',
        'return "", {}',
        f"{LEDGER}::test_a_second_record_of_a_trigger_is_stale",
    ),
    Mutation(
        "a request is sent without its claims",
        "backup/loop",
        "                self._save(work, change)\n            except SubclientChanged:\n                continue\n            break\n",
        "                self._save(work, Change(change.submission))\n"
        "            except SubclientChanged:\n                continue\n            break\n",
        WORLD,
    ),
    Mutation(
        "a token is not renewed while jobs run",
        "backup/loop",
        "        self._services.commvault.prepare(time.monotonic() + seconds)\n",
        "",
        f"{CORNERS}::test_a_token_that_expires_while_jobs_run_is_renewed",
    ),
    Mutation(
        "a slow list starves the jobs that it does not show",
        "backup/polling",
        "LIST_SHARE = 0.7",
        "LIST_SHARE = 1.0",
        f"{POLLING}::test_each_job_is_read_at_some_time_however_slow_the_list_is",
    ),
    Mutation(
        "a part of a list is believed to be whole",
        "backup/polling",
        "listed_since = 0.0 if position else begun",
        "listed_since = begun",
        f"{POLLING}::test_a_long_list_is_read_on_and_counts_from_when_its_reading_began",
    ),
    Mutation(
        "a rate limit pauses no polls",
        "backup/polling",
        "        return self._failure is None\n",
        "        return True\n",
        f"{POLLING}::test_a_rate_limit_pauses_all_polls",
    ),
    Mutation(
        "rows are not used again",
        "backup/polling",
        "oldest = now - self._window_seconds",
        "oldest = now",
        f"{POLLING}::test_rows_are_used_again_for_a_minute_and_of_many_jobs_for_five",
    ),
    # ---- The ledger
    Mutation(
        "our own write is a conflict",
        "ledger/submissions",
        'if found.get("writeId") != submission.write_id:',
        "if found:",
        f"{LEDGER}::test_our_own_write_whose_answer_was_lost_is_no_conflict",
    ),
    Mutation(
        "a claim does not depend on the item's version",
        "ledger/submissions",
        "    condition, where = _is_version(subclient.version)\n",
        '    condition, where = "", {}\n',
        f"{LEDGER}::test_a_start_claims_all_its_items_or_nothing",
    ),
    Mutation(
        "a rate limit is shortened",
        "ledger/submissions",
        '"attribute_not_exists(#until) OR #until < :until"',
        '"attribute_not_exists(#until) OR #until > :until"',
        f"{LEDGER}::test_a_rate_limit_is_only_prolonged",
    ),
    Mutation(
        "a transaction's conflict with a single write is an error",
        "ledger/table",
        'return response["Error"]["Code"] == "TransactionConflictException" or "TransactionConflict" in codes',
        'return "TransactionConflict" in codes',
        f"{TABLE}::test_a_write_that_meets_another_is_tried_again_three_times",
    ),
    Mutation(
        "keys that a throttled table leaves out are missing",
        "ledger/table",
        '                left = answer.get("UnprocessedKeys")\n',
        "                left = None\n",
        f"{TABLE}::test_keys_that_a_throttled_table_leaves_out_are_read_again",
    ),
    # ---- The queues and the topic
    Mutation(
        "a fan-out whose entries fail is ignored",
        "messaging/queues",
        "                raise FanOutError(",
        "                FanOutError(",
        f"{QUEUES}::test_a_fan_out_whose_entries_fail_three_times_is_an_error_that_names_them",
    ),
    Mutation(
        "a retry's notice does not name whose its jobs were",
        "messaging/notifications",
        'if notice.status == "retrying":  # Its',
        'if notice.status == "":  # Its',
        f"{NOTICES}::test_an_association_has_its_job_as_far_as_it_is_known",
    ),
    Mutation(
        "a name brings a mention into a title",
        "messaging/notifications",
        'return NOT_PLAIN.sub("?", name)',
        "return name",
        f"{NOTICES}::test_names_in_a_title_have_no_quotes_markup_or_mentions",
    ),
    # ---- RDS and Commvault
    Mutation(
        "the status of a member is not its cluster's",
        "rds/statuses",
        "return self._status(CLUSTER, cluster) if cluster else",
        "return self._status(CLUSTER, cluster) if not row else",
        f"{STATUSES}::test_the_status_is_that_of_the_instance_or_its_cluster",
    ),
    Mutation(
        "a page that hides its rows is believed",
        "commvault/jobs",
        "if not listed and (total or 0) > end:",
        "if not listed and (total or 0) > end + 10_000:",
        f"{JOBS}::test_an_answer_without_a_list_of_jobs_is_not_believed",
    ),
    # ---- The token
    Mutation(
        "only the newest renewed fingerprint is kept",
        "ledger/token",
        "kept = earlier | {fingerprint: now}",
        "kept = {fingerprint: now}",
        f"{TOKEN}::test_an_earlier_pair_put_back_is_not_presented",
    ),
    Mutation(
        "a pair is presented although recording it failed",
        "credentials/renewal",
        "        if not held.record(pair.fingerprint, version.id, attempt.new_version_id):\n",
        "        if held.record(pair.fingerprint, version.id, attempt.new_version_id) is None:\n",
        f"{TOKEN}::test_a_pair_is_not_presented_by_a_run_that_has_lost_its_lease",
    ),
    Mutation(
        "a completed cut-off renewal is used over the owner's newer value",
        "credentials/renewal",
        "return stored if is_current else self._secret.current(past_cache=True)",
        "return stored",
        f"{TOKEN}::test_a_renewal_that_was_cut_off_is_completed_unless_the_owner_stores_a_value",
    ),
    # ---- The audit
    Mutation(
        "the audit takes a name for unique although a place could not be read",
        "audit/verdicts",
        " and not any(place.region == region for place in self.unread)",
        "",
        f"{VERDICTS}::test_a_verdict",
    ),
    Mutation(
        "the audit takes a snapshot of an earlier database of this name",
        "rds/databases",
        "            return self.resource_id == resource.resource_id\n",
        "            pass\n",
        f"{VERDICTS}::test_a_verdict",
    ),
    Mutation(
        "the audit takes a snapshot that is not available",
        "audit/verdicts",
        "                and snapshot.is_available\n",
        "",
        f"{VERDICTS}::test_a_verdict",
    ),
    Mutation(
        "the audit takes a job with errors for evidence",
        "audit/job_history",
        'if job.end == "completed"), None)',
        'if job.end and "completed" in job.end), None)',
        f"{VERDICTS}::test_a_verdict",
    ),
    Mutation(
        "the audit calls a database uncovered although contents are unread",
        "audit/verdicts",
        "        if not coverage.groups and coverage.unread:\n",
        "        if coverage.groups and coverage.unread:\n",
        f"{VERDICTS}::test_a_verdict",
    ),
    Mutation(
        "the audit guesses what an exception that is not understood excepts",
        "commvault/contents",
        "        if reason is None or self.excepted.unclear or",
        "        if reason is None or",
        f"{CONTENTS}::test_exceptions",
    ),
    Mutation(
        "the audit asks for more restore points than SaaS admits",
        "audit/metered",
        "        if self._queries >= self._most_queries:\n",
        "        if self._queries > self._most_queries:\n",
        f"{GATHERING}::test_on_saas_few_queries_are_made_and_what_was_not_reached_is_unreadable",
    ),
    Mutation(
        "the audit takes an answer without its list for an empty list",
        "commvault/queries",
        "            if listed and not isinstance(document.get(listed), list):\n",
        "            if listed and listed not in document and document:\n",
        f"{AUDIT}::test_jobs_count_with_their_snapshots_where_restore_points_are_not_listed",
    ),
)
