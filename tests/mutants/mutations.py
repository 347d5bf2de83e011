"""The mutations: each replaces an exact text of the sources by a wrong one, and names the test that must catch it."""

from dataclasses import dataclass

SOURCE = "src/rds_snap_backup"
CORE = "tests/unit/test_submission.py"
CORNERS = "tests/property/test_corners.py"
WORLD = "tests/property/test_world.py"
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
        CORE,
    ),
    Mutation(
        "the pauses of a message are not counted",
        "submission",
        "due=now + min(pause, max(left, 0)), pauses=backup.pauses + 1, error=problem)",
        "due=now + min(pause, max(left, 0)), pauses=backup.pauses, error=problem)",
        CORNERS,
    ),
    Mutation(
        "the last try is not at the end of RetryHours",
        "submission",
        "due=now + min(pause, max(left, 0)),",
        "due=now + pause,",
        CORE,
    ),
    Mutation(
        "a retry is of the document's level",
        "submission",
        "if backup.level and not covers(submission.pin.level, backup.level):",
        "if backup.level and covers(submission.pin.level, backup.level):",
        CORE,
    ),
    Mutation(
        "a retry is satisfied by a job that began before the one that failed",
        "submission",
        "            moment=max(job.started, attempt.began),\n",
        "",
        CORE,
    ),
    Mutation(
        "a manual call obeys the cool-down",
        "submission",
        'if submission.trigger.kind == "rds" and not backup.level:',
        "if not backup.level:",
        CORE,
    ),
    Mutation(
        "no such job is believed by the attempt's start",
        "submission",
        "believed_at = attempt.ended + policy.reconcile_seconds",
        "believed_at = attempt.began + policy.reconcile_seconds - 60",
        CORE,
    ),
    Mutation(
        "no such job is believed by when the answer came",
        "submission",
        "if rest and self._sight.listed_since >= believed_at:",
        "if rest and now >= believed_at:",
        CORE,
    ),
    Mutation(
        "a job that began just before its attempt is not adopted",
        "submission",
        "        earliest = attempt.began - CLOCK_SKEW_SECONDS\n",
        "        earliest = attempt.began\n",
        CORE,
    ),
    Mutation(
        "a job that others know is adopted",
        "submission",
        "            and row.id not in item.known_ids\n",
        "",
        CORE,
    ),
    Mutation(
        "a claimer in doubt frees its subclient when it is abandoned",
        "submission",
        'if theirs.state == "abandoned" and theirs.is_in_doubt:',
        'if theirs.state == "waiting" and theirs.is_in_doubt:',
        CORE,
    ),
    Mutation(
        "a job without a row frees its subclient",
        "submission",
        'if theirs.state not in OPEN or (theirs.state == "running" and theirs.job):',
        'if theirs.state not in OPEN or theirs.state == "running":',
        CORE,
    ),
    Mutation(
        "a lost message keeps a subclient for ever",
        "submission",
        "    return now <= claimer.last_due + LOST_MESSAGE_SECONDS + policy.reconcile_seconds\n",
        "    return True\n",
        CORE,
    ),
    Mutation(
        "a start claims nothing",
        "submission",
        "    return Change(_pruned(_map(submission, send)), claimed)",
        "    return Change(_pruned(_map(submission, send)))",
        CORE,
    ),
    Mutation(
        "cut-off runs are counted in total",
        "submission",
        "replace(attempt, ended=now)), cut_offs=0)",
        "replace(attempt, ended=now)))",
        CORE,
    ),
    Mutation(
        "a refused group is never taken apart",
        "submission",
        "due=self._now, pauses=0, refusals=backup.refusals + 1))",
        "due=self._now, pauses=0))",
        CORNERS,
    ),
    Mutation(
        "a schedule without an answer is sent again",
        "submission",
        "        case Unknown() if is_schedule:\n",
        "        case Unknown() if is_schedule and not attempt:\n",
        CORE,
    ),
    Mutation(
        "a letter opens its submission twice",
        "submission",
        "opened_letter=submission.letters,",
        "opened_letter=0,",
        CORE,
    ),
    Mutation(
        "a job is lost at the first read that does not show it",
        "submission",
        "elif self._now < backup.missing_since + self._policy.missing_seconds:",
        "elif self._now < backup.missing_since:",
        CORE,
    ),
    Mutation(
        "a job is lost by time alone",
        "submission",
        "            if backup.job.id not in self._sight.absent:\n",
        "            if not backup.job.id:\n",
        CORE,
    ),
    Mutation(
        "the end of a job with a repeated ID is published",
        "submission",
        "if not _may_be_of(row, backup) or self._ended_before(row, attempt):",
        "if not _may_be_of(row, backup):",
        CORE,
    ),
    Mutation(
        "time for settling is time for trying",
        "submission",
        '_held(backup, problem, min(now + pause, until), now) if backup.state == "waiting" else backup',
        'replace(backup, due=min(now + pause, until)) if backup.state == "waiting" else backup',
        CORE,
    ),
    # ---- The function
    Mutation(
        "the message is sent after the request",
        "backup/deliveries",
        "not submission.backups or self._send(trigger, name)",
        "not submission.backups",
        CORNERS,
    ),
    Mutation(
        "a repeated manual call does more than report",
        "backup/deliveries",
        'if known and trigger.kind == "manual":',
        'if known and trigger.kind == "rds":',
        CORNERS,
    ),
    Mutation(
        "a run that leaves neither message nor record succeeds",
        "backup/deliveries",
        "            if not work.submission.version:\n",
        "            if work.submission.version:\n",
        CORNERS,
    ),
    Mutation(
        "a message that waits is deleted",
        "backup/deliveries",
        "    if work.until is None:\n",
        "    if work.until:\n",
        CORNERS,
    ),
    Mutation(
        "one message that fails stops its batch",
        "backup/deliveries",
        "                waiting.append((record, None))\n                failure = error\n",
        "                raise\n",
        CORNERS,
    ),
    Mutation(
        "`rejected` overwrites an existing record",
        "ledger/submissions",
        'return "attribute_not_exists(#pk)", {}',
        'return "", {}',
        LEDGER,
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
        "        self._services.commvault.prepare(time.monotonic() + seconds_left() - RESERVE_SECONDS)\n",
        "",
        CORNERS,
    ),
    Mutation(
        "a slow list starves the jobs that it does not show",
        "backup/polling",
        "LIST_SHARE = 0.7",
        "LIST_SHARE = 1.0",
        POLLING,
    ),
    Mutation(
        "a part of a list is believed to be whole",
        "backup/polling",
        "listed_since = 0.0 if position else begun",
        "listed_since = begun",
        POLLING,
    ),
    Mutation(
        "a rate limit pauses no polls",
        "backup/polling",
        "        return self._failure is None\n",
        "        return True\n",
        POLLING,
    ),
    Mutation(
        "rows are not used again",
        "backup/polling",
        "oldest = now - self._window_seconds",
        "oldest = now",
        POLLING,
    ),
    # ---- The ledger
    Mutation(
        "our own write is a conflict",
        "ledger/submissions",
        'if found.get("writeId") != submission.write_id:',
        "if found:",
        LEDGER,
    ),
    Mutation(
        "a claim does not depend on the item's version",
        "ledger/submissions",
        "    condition, where = _is_version(subclient.version)\n",
        '    condition, where = "", {}\n',
        LEDGER,
    ),
    Mutation(
        "a rate limit is shortened",
        "ledger/submissions",
        '"attribute_not_exists(#until) OR #until < :until"',
        '"attribute_not_exists(#until) OR #until > :until"',
        LEDGER,
    ),
    Mutation(
        "a transaction's conflict with a single write is an error",
        "ledger/table",
        'return response["Error"]["Code"] == "TransactionConflictException" or "TransactionConflict" in codes',
        'return "TransactionConflict" in codes',
        TABLE,
    ),
    Mutation(
        "keys that a throttled table leaves out are missing",
        "ledger/table",
        '                left = answer.get("UnprocessedKeys")\n',
        "                left = None\n",
        TABLE,
    ),
    # ---- The queues and the topic
    Mutation(
        "a fan-out whose entries fail is ignored",
        "messaging/queues",
        "                raise FanOutError(",
        "                FanOutError(",
        QUEUES,
    ),
    Mutation(
        "a retry's notice does not name whose its jobs were",
        "messaging/notifications",
        'if notice.status == "retrying":  # Its',
        'if notice.status == "":  # Its',
        NOTICES,
    ),
    # ---- RDS and Commvault
    Mutation(
        "the status of a member is not its cluster's",
        "rds/statuses",
        "return self._cluster(cluster) if cluster else",
        "return self._cluster(cluster) if not rows else",
        STATUSES,
    ),
    Mutation(
        "a page that hides its rows is believed",
        "commvault/jobs",
        "if not listed and (total or 0) > end:",
        "if not listed and (total or 0) > end + 10_000:",
        JOBS,
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
)
