"""The mutations: each replaces an exact text of the sources by a wrong one, and names the tests that must catch it."""

from dataclasses import dataclass

PROPERTY = "tests/property/test_exactly_once.py"
CORNERS = "tests/property/test_corners.py"
COVERAGE = ("tests/unit/audit/test_coverage.py",)
JOBS = ("tests/unit/commvault/test_jobs.py",)
AUDIT = tuple(f"tests/unit/audit/test_{name}.py" for name in ("publication", "stuck", "listeners", "findings"))


@dataclass(frozen=True, slots=True)
class Mutation:
    """A wrong text in the place of a right one. `tests` are run in turn, until one fails."""

    name: str
    path: str
    right: str
    wrong: str
    tests: tuple[str, ...] = (PROPERTY,)

    def applied_to(self, text: str) -> str:
        """Return the text with the mutation; raise ValueError unless what it replaces is there exactly once."""
        if text.count(self.right) != 1:
            raise ValueError(f"{self.name}: {self.path} has its text {text.count(self.right)} times, not once")
        return text.replace(self.right, self.wrong)


def _in(module: str) -> str:
    return f"src/rds_snap_backup/{module}.py"


MUTATIONS = (
    Mutation(
        "no such job is believed by the attempt's start",
        _in("submit/reconcile"),
        "believed_at = lease.attempt_ended_at +",
        "believed_at = lease.attempted_at +",
        (CORNERS, PROPERTY),
    ),
    Mutation(
        "an attempt that was cut off ended when it began",
        _in("ledger/submissions"),
        'is_uncertain=True, attempt_ended_at=item["lease"])',
        'is_uncertain=True, attempt_ended_at=item["attemptedAt"])',
    ),
    Mutation(
        "no such job is believed by when the answer came",
        _in("submit/reconcile"),
        "if begun_at < believed_at:",
        "if run.services.clock() < believed_at:",
        (CORNERS, PROPERTY),
    ),
    Mutation(
        "a job is adopted although the list does not show those that were named",
        _in("submit/reconcile"),
        "adopting = rest if len(named) == len(job_ids) else []",
        "adopting = rest",
        (CORNERS, PROPERTY),
    ),
    Mutation(
        "what a run had claimed before it was killed is forgotten",
        _in("ledger/entries"),
        'claimed=tuple(json.loads(item.get("claimed", "[]")))',
        "claimed=()",
        (CORNERS, PROPERTY),
    ),
    Mutation(
        "a job is claimed whoever has it",
        _in("ledger/claims"),
        'self._values(), (), "attribute_not_exists(#pk)")',
        "self._values(), ())",
    ),
    Mutation(
        "any claim of another submission is stale",
        _in("ledger/claims"),
        "return bool(claimed_at < self.job_started - STALE_SECONDS)",
        "return bool(claimed_at < self.job_started + STALE_SECONDS)",
    ),
    Mutation(
        "no claim is ever stale",
        _in("ledger/claims"),
        "return bool(claimed_at < self.attempted_at and started < self.attempted_at - CLOCK_SKEW_SECONDS)",
        "return False",
        ("tests/unit/ledger/test_claims.py", PROPERTY),
    ),
    Mutation(
        "a closed submission keeps the cool-down",
        _in("ledger/cool_downs"),
        'Update(key, values, ("claimer",), "#claimer = :key", mine), keep',
        'Update(key, values, (), "#claimer = :key", mine), keep',
    ),
    Mutation(
        "an RDS event does not obey the cool-down",
        _in("ledger/cool_downs"),
        'if lease.submission.trigger.kind != "rds":',
        'if lease.submission.trigger.kind != "manual":',
    ),
    Mutation(
        "a live lease is taken over",
        _in("ledger/submissions"),
        'is_live, is_cut_off = item["lease"] > now,',
        'is_live, is_cut_off = item["lease"] < now,',
    ),
    Mutation(
        "an end is recorded whoever holds the submission",
        _in("ledger/records"),
        'update = Update(lease.submission.key, values, (), "#owner = :me", mine)',
        "update = Update(lease.submission.key, values)",
        (CORNERS, PROPERTY),
    ),
    Mutation(
        "runs that were cut off are counted in total",
        _in("ledger/submissions"),
        'item.get("expiredLeases", 0) + 1 if is_cut_off else 0',
        'item.get("expiredLeases", 0) + is_cut_off',
        (CORNERS, PROPERTY),
    ),
    Mutation(
        "published before it is recorded",
        _in("submit/runs"),
        "        self.services.ledger.close(lease, status, notification, claims, starts_cool_down=starts_cool_down)\n",
        "        self.services.notifications.publish(notification)\n"
        "        self.services.ledger.close(lease, status, notification, claims, starts_cool_down=starts_cool_down)\n",
    ),
    Mutation(
        "a dead letter has the next attempt's number",
        _in("submit/runs"),
        "submission.target, lease.attempt, error or {})",
        "submission.target, lease.attempt + 1, error or {})",
    ),
    Mutation(
        "a manual call has no safety net",
        _in("submit/deliveries"),
        "            self._queues.enqueue(trigger, target, SAFETY_NET_SECONDS)\n",
        "            pass\n",
    ),
    Mutation(
        "a message that waits is deleted",
        _in("messaging/batches"),
        "                    self._postpone(message, redelivery.seconds)\n                raise\n",
        "                    self._postpone(message, redelivery.seconds)\n",
    ),
    Mutation(
        "a message that waits is sent again",
        _in("submit/deliveries"),
        "        raise Redeliver(seconds)",
        "        return None",
    ),
    Mutation(
        "jobs are not followed",
        _in("messaging/notifications"),
        'attributes["followed"] = "yes"',
        'attributes["followed"] = "no"',
    ),
    Mutation(
        "a job of another level is adopted",
        _in("commvault/matching"),
        "FULLNESS[level] > FULLNESS[sent]",
        "FULLNESS[level] < FULLNESS[sent]",
    ),
    Mutation(
        "a job is adopted however late it started",
        _in("commvault/matching"),
        "if earliest <= job.started <= latest and",
        "if earliest <= job.started and",
    ),
    Mutation(
        "a backoff without a limit",
        _in("messaging/batches"),
        "return min(first_seconds * 2.0 ** min(tries - 1, 20), MAX_PAUSE_SECONDS)",
        "return first_seconds * 2.0 ** min(tries - 1, 20)",
        ("tests/unit/messaging/test_batches.py", PROPERTY),
    ),
    Mutation(
        "a request without associations is sent",
        _in("ledger/attempts"),
        "        if not lease.missing:\n            keep()\n            return Complete(waiting)\n",
        "",
        (CORNERS, PROPERTY),
    ),
    Mutation(
        "a transaction's conflict with a single write is an error",
        _in("ledger/table"),
        'return response["Error"]["Code"] == "TransactionConflictException" or "TransactionConflict" in codes',
        'return "TransactionConflict" in codes',
        (CORNERS, "tests/property/test_contention.py", PROPERTY),
    ),
    Mutation(
        "a document that is gone ends its open submission",
        _in("ledger/submissions"),
        "lease.pinned(document) if document else lease, UNCHANGED,",
        "lease.pinned(document or NO_PIN), UNCHANGED,",
    ),
    Mutation(
        "the end of whatever job has the ID is published",
        _in("follow/tracking"),
        "if self.submitted_at < began - CLOCK_SKEW_SECONDS and not self._is_own(item):",
        "if self.submitted_at < began - 1e9 and not self._is_own(item):",
    ),
    Mutation(
        "the end of a job is published before it is recorded",
        _in("follow/batches"),
        "            own = item if completion_id == job_id else {}\n",
        "            own = item if completion_id == job_id else {}\n"
        "            self._services.notifications.publish(end.notification)\n",
    ),
    Mutation(
        "the pattern of all databases covers",
        _in("audit/coverage"),
        "[name for name, reason in self.reasons.items() if reason != FALLBACK]",
        "[*self.reasons]",
        COVERAGE,
    ),
    Mutation(
        "a target that is disabled covers",
        _in("audit/coverage"),
        "for one in targets if one.content and one.content.enabled}",
        "for one in targets if one.content}",
        COVERAGE,
    ),
    Mutation(
        "what could not be asked is gone",
        _in("audit/publication"),
        "today.setdefault(question, set()).update(state.keys.get(question, ()))",
        "today.setdefault(question, set())",
        AUDIT,
    ),
    Mutation(
        "a run that is delivered again publishes again",
        _in("audit/publication"),
        "if state.run == self._run:",
        "if not self._run:",
        AUDIT,
    ),
    Mutation(
        "what a killed run has recorded is not published",
        _in("audit/publication"),
        "if state.is_pending:",
        "if not state:",
        AUDIT,
    ),
    Mutation(
        "what is stuck is put back every day",
        _in("audit/stuck"),
        "if is_scheduled and not one.is_woken:",
        "if is_scheduled:",
        AUDIT,
    ),
    Mutation(
        "an audit by hand wakes what is stuck",
        _in("audit/stuck"),
        "if is_scheduled and not one.is_woken:",
        "if not one.is_woken:",
        AUDIT,
    ),
    Mutation(
        "the Jobs queue is a listener",
        _in("audit/listeners"),
        "if not _is_of_queue(one, jobs_queue_url)]",
        "if one]",
        AUDIT,
    ),
    Mutation(
        "what a problem kept from being asked is not said",
        _in("audit/findings"),
        "if not row.is_checked and row.cause]",
        "if not row and row.cause]",
        AUDIT,
    ),
    Mutation(
        "an end has jobs that are another's by now",
        _in("ledger/records"),
        "lease.submission.key) for job_id in lease.found.values()]",
        "lease.submission.key) for job_id in ()]",
        (CORNERS,),
    ),
    Mutation(
        "a job whose ID is another's by now is not started again",
        _in("ledger/submissions"),
        "        if not lease.found:\n            return lease\n",
        "        if lease:\n            return lease\n",
        (CORNERS,),
    ),
    Mutation(
        "a dead letter opens a submission without a document",
        _in("ledger/submissions"),
        "            if document is None:\n                return self._overtaken()",
        "            if not lease:\n                return self._overtaken()",
        (CORNERS,),
    ),
    Mutation(
        "what was sent for a target that is deleted is not found again",
        _in("ledger/submissions"),
        "if key == submission_key(target, trigger):",
        "if not key:",
        (CORNERS,),
    ),
    Mutation(
        "a job that was found after the end was recorded is not joined",
        _in("ledger/records"),
        "claims, (cool_down, None))",
        "claims)",
        (CORNERS,),
    ),
    Mutation(
        "who joins does not hear what went wrong",
        _in("submit/workflow"),
        "job_ids=job_ids, problem=problem, starts_cool_down=False",
        "job_ids=job_ids, starts_cool_down=False",
        (CORNERS,),
    ),
    Mutation(
        "a page that hides its rows is believed",
        _in("commvault/jobs"),
        "if not listed and (total or 0) > end:",
        "if not listed and (total or 0) > end + 10_000:",
        JOBS,
    ),
    Mutation(
        "a list that fails for its length is not asked by client",
        _in("commvault/jobs"),
        "is_wide and problem.code not in OF_THE_SERVER",
        'is_wide and problem.code == "TIMED_OUT"',
        JOBS,
    ),
)
