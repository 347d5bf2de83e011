"""A page on loopback with the jobs of the simulated CommServe, which renews itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from local.commserve import CommServe, Job
from local.emulator import free_port

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>Jobs of the simulated CommServe</title>
<style>body {{ font: 15px system-ui; margin: 2em }} td, th {{ padding: .2em 1.2em .2em 0; text-align: left }}</style>
<h1>Jobs of the simulated CommServe</h1><p>{count} jobs, {requests} requests to start some. The newest is first.</p>
<table><tr><th>Job<th>Client<th>Group<th>Status<th>Started (UTC)<th>Snapshots<th>Skipped</tr>{rows}</table></html>"""


@contextmanager
def serving(commserve: CommServe) -> Iterator[str]:
    """Serve the page while the block runs; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Send the page."""
            body = page(commserve).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def page(commserve: CommServe) -> str:
    """Return the page as it is now."""
    jobs = sorted(commserve.jobs.values(), key=lambda job: int(job.id), reverse=True)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(text)}' for text in cells(job))}</tr>" for job in jobs)
    return PAGE.format(count=len(jobs), requests=len(commserve.create_tasks), rows=rows)


def cells(job: Job) -> tuple[str, ...]:
    """Return the texts of a job's row."""
    started = time.strftime("%H:%M:%S", time.gmtime(job.created))
    skipped = ", ".join(f"{database.name} ({database.status})" for database in job.taken.skipped)
    status = f"{job.status}{f': {job.reason}' if job.reason else ''}"
    return job.id, job.client, job.group, status, started, str(len(job.taken.snapshots)), skipped
