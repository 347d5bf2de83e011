"""The mutations: each replaces an exact text of the sources by a wrong one, and names the test that must catch it."""

from dataclasses import dataclass

SOURCE = "src/rds_snap_backup"
AUDIT = "tests/integration/test_audit.py"
CONTENTS = "tests/unit/commvault/test_contents.py"
GATHERING = "tests/unit/audit/test_gathering.py"
VERDICTS = "tests/unit/audit/test_verdicts.py"
CORE = "tests/unit/test_submission.py"
CORNERS = "tests/property/test_corners.py"
WORLD = "tests/property/test_world.py"
EXPLAIN = "tests/property/test_explain.py"
DELIVERIES = "tests/integration/test_deliveries.py"
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
    # ---- The core
    Mutation(
        "a killed job may be joined",
        "submission",
        '(theirs.state in COMPLETED or theirs.state == "running")',
        '(theirs.state in {*COMPLETED, "killed"} or theirs.state == "running")',
        f"{CORE}::test_rule_4_a_trigger_is_satisfied_by_a_job_that_begins_after_it",
    ),
    Mutation(
        "the pauses of a message are not counted",
        "submission",
        "due=now + min(pause, max(left, 0)), pauses=backup.pauses + 1, error=problem)",
        "due=now + min(pause, max(left, 0)), pauses=backup.pauses, error=problem)",
        f"{CORNERS}::test_pauses_double_up_to_15_minutes_and_the_last_try_is_at_the_end_of_retry_hours",
    ),
    Mutation(
        "the last try is not at the end of RetryHours",
        "submission",
        "due=now + min(pause, max(left, 0)),",
        "due=now + pause,",
        f"{CORE}::test_rule_7_the_last_try_is_at_the_end_of_the_time_for_trying",
    ),
    Mutation(
        "a retry is of the document's level",
        "submission",
        "if backup.level and not covers(submission.pin.level, backup.level):",
        "if backup.level and covers(submission.pin.level, backup.level):",
        f"{CORE}::test_sequence_5_a_retry_is_of_the_level_of_the_job_that_failed",
    ),
    Mutation(
        "a retry is satisfied by a job that began before the one that failed",
        "sightings",
        "            moment=max(job.started, attempt.began),\n",
        "",
        f"{CORE}::test_sequence_6_a_retry_is_not_satisfied_by_a_job_that_began_before",
    ),
    Mutation(
        "a manual call obeys the cool-down",
        "submission",
        'if submission.trigger.kind == "rds" and not backup.level:',
        "if not backup.level:",
        f"{CORE}::test_rule_4_a_trigger_is_satisfied_by_a_job_that_begins_after_it",
    ),
    Mutation(
        "no such job is believed by the attempt's start",
        "sightings",
        "believed_at = attempt.ended + policy.reconcile_seconds",
        "believed_at = attempt.began + policy.reconcile_seconds - 60",
        f"{CORE}::test_sequence_14_a_running_job_keeps_only_its_own_subclient_waiting",
    ),
    Mutation(
        "no such job is believed by when the answer came",
        "sightings",
        "if rest and self._sight.listed_since >= believed_at:",
        "if rest and now >= believed_at:",
        f"{CORE}::test_rule_7_nine_days_end_it",
    ),
    Mutation(
        "a job that began just before its attempt is not adopted",
        "sightings",
        "        earliest = attempt.began - CLOCK_SKEW_SECONDS\n",
        "        earliest = attempt.began\n",
        f"{CORE}::test_sequence_16_the_clock_of_the_commserve_may_be_two_minutes_behind",
    ),
    Mutation(
        "a job that others know is adopted",
        "sightings",
        "            and row.id not in item.known_ids\n",
        "",
        f"{CORE}::test_sequence_17_of_several_matching_rows_all_become_known",
    ),
    Mutation(
        "a claimer in doubt frees its subclient when it is abandoned",
        "submission",
        'if theirs.state == "abandoned" and theirs.is_in_doubt:',
        'if theirs.state == "waiting" and theirs.is_in_doubt:',
        f"{CORE}::test_sequence_7_a_claimer_that_ended_in_doubt_keeps_the_subclient_for_its_window",
    ),
    Mutation(
        "a job without a row frees its subclient",
        "submission",
        'if theirs.state not in OPEN or (theirs.state == "running" and theirs.job):',
        'if theirs.state not in OPEN or theirs.state == "running":',
        f"{CORE}::test_sequence_12_a_job_that_no_row_has_assigned_keeps_others_waiting",
    ),
    Mutation(
        "a lost message keeps a subclient for ever",
        "submission",
        "    return now <= claimer.last_due + LOST_MESSAGE_SECONDS + policy.reconcile_seconds\n",
        "    return True\n",
        f"{CORE}::test_rule_3_a_claimer_whose_message_is_lost_is_passed_over",
    ),
    Mutation(
        "a start claims nothing",
        "submission",
        "    return Change(pruned(map_backups(submission, send)), claimed)",
        "    return Change(pruned(map_backups(submission, send)))",
        f"{CORE}::test_rule_3_a_busy_subclient_waits_and_the_others_go",
    ),
    Mutation(
        "cut-off runs are counted in total",
        "submission",
        "replace(attempt, ended=now)), cut_offs=0)",
        "replace(attempt, ended=now)))",
        f"{CORE}::test_rule_7_five_leases_in_a_row_that_expired_end_it",
    ),
    Mutation(
        "a refused group is never taken apart",
        "sightings",
        "due=self._now, pauses=0, refusals=backup.refusals + 1))",
        "due=self._now, pauses=0))",
        f"{CORNERS}::test_a_group_that_is_refused_twice_for_a_running_job_is_taken_apart",
    ),
    Mutation(
        "a schedule without an answer is sent again",
        "submission",
        "        case Unknown() if is_schedule:\n",
        "        case Unknown() if is_schedule and not attempt:\n",
        f"{CORE}::test_a_schedule_of_which_no_answer_came_is_never_sent_again",
    ),
    Mutation(
        "a letter opens its submission twice",
        "submission",
        "opened_letter=submission.letters,",
        "opened_letter=0,",
        f"{CORE}::test_sequence_9_a_letter_opens_once_and_its_copies_continue",
    ),
    Mutation(
        "a job is lost at the first read that does not show it",
        "sightings",
        "elif self._now < backup.missing_since + self._policy.missing_seconds:",
        "elif self._now < backup.missing_since:",
        f"{CORE}::test_rule_8_a_fresh_job_may_be_missing_for_ten_minutes",
    ),
    Mutation(
        "a job is lost by time alone",
        "sightings",
        "            if backup.job.id not in self._sight.absent:\n",
        "            if not backup.job.id:\n",
        f"{CORE}::test_rule_8_a_job_is_lost_when_it_is_missing_from_complete_reads_for_ten_minutes",
    ),
    Mutation(
        "the end of a job with a repeated ID is published",
        "sightings",
        "if not _may_be_of(row, backup) or self._ended_before(row, attempt):",
        "if not _may_be_of(row, backup):",
        f"{CORE}::test_rule_8_an_id_that_was_counted_again_is_another_job",
    ),
    Mutation(
        "time for settling is time for trying",
        "submission",
        'on_hold(backup, problem, min(now + pause, until), now) if backup.state == "waiting" else backup',
        'replace(backup, due=min(now + pause, until)) if backup.state == "waiting" else backup',
        f"{CORE}::test_rule_5_the_first_attempt_of_an_event_waits_for_its_database",
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
