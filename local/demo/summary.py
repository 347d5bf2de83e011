"""The table that fills as the demo runs and is shown at its end; all of it is computed from what was observed."""

from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from local.demo.observed import Observed, Row
from local.demo.report import Report


@dataclass(frozen=True, slots=True)
class Summary:
    """The outcome of each trigger."""

    observed: Observed
    rows: tuple[Row, ...]

    @property
    def is_complete(self) -> bool:
        """Whether everything that must happen has happened."""
        return all(self.is_submitted(row) and self.has_ended(row) for row in self.rows)

    def is_submitted(self, row: Row) -> bool:
        """Return whether a trigger made the expected calls, jobs and message."""
        if row.begins == float("inf") or len(self.observed.calls(row)) != row.calls:
            return False
        message, jobs = self.observed.submission(row), [job.id for job in self.observed.jobs(row)]
        if message is None or row.status is None:
            return message is None and row.status is None and not jobs
        body = message.body
        published = (body["status"], body["jobIds"], body["reconciled"])
        return published == (row.status, jobs, row.reconciled) and bool(jobs) == (row.status == "submitted")

    def has_ended(self, row: Row) -> bool:
        """Return whether the end of a trigger's job was published as it was; without a job there is none."""
        message, jobs = self.observed.end(row), self.observed.jobs(row)
        if message is None:
            return not jobs
        return all(job.status == "Completed" for job in jobs) and message.body["status"] == "completed"

    def table(self, *, is_final: bool = False) -> Table:
        """Return the table as it stands; in the final one, what has not happened is marked."""
        table = Table(title="What was observed")
        pending = Text("✗", "bold red") if is_final else Text("…")
        for heading in ("Trigger", "CreateTask calls", "Job", "Message at the subscriber", "Its end", ""):
            table.add_column(heading, justify="right" if heading in {"CreateTask calls", "Job"} else "left")
        for row in self.rows:
            is_done = self.is_submitted(row) and self.has_ended(row)
            table.add_row(*self._cells(row), Text("✓", "green") if is_done else pending)
        return table

    def verdict(self, seconds: float, report: Report) -> Text:
        """Return the last line."""
        calls, jobs = len(self.observed.machine.commserve.create_tasks), len(self.observed.machine.commserve.jobs)
        seen = f"{calls} CreateTask calls, {jobs} jobs, {len(self.observed.messages)} messages in {seconds:.0f} s."
        missing = [row.title for row in self.rows if not (self.is_submitted(row) and self.has_ended(row))]
        if not report.is_as_expected:
            missing.append("the report's findings")
        if missing:
            return Text(f"Something did not happen: {', '.join(missing)}. {seen}", style="bold red")
        return Text(f"Everything happened as it should: {seen}", style="bold green")

    def _cells(self, row: Row) -> tuple[str, ...]:
        submission, end = self.observed.submission(row), self.observed.end(row)
        calls = str(len(self.observed.calls(row)))
        jobs = ", ".join(job.id for job in self.observed.jobs(row))
        published = ended = "none"
        if submission:
            note = " (reconciled)" if submission.body["reconciled"] else ""
            published = " ".join([submission.body["status"], *submission.body["jobIds"]]) + note
            if "error" in submission.body:
                published = f"{submission.body['status']}: {submission.body['error']['code']}"
        if end:
            ended = " ".join([end.body["status"], *end.body["jobIds"]])
        return row.title, calls, jobs or "none", published, ended
