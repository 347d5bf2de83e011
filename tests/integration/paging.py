"""A wire between the Audit function and AWS on which RDS's lists come in pages, as AWS sends them and the emulator does not."""

import re
from urllib.parse import parse_qs

from tests.integration.forwarding import ForwardingWire

# Each list's element, and that of its rows.
LISTS = {
    "DescribeDBInstances": ("DBInstances", "DBInstance"),
    "DescribeDBClusters": ("DBClusters", "DBCluster"),
    "DescribeDBSnapshots": ("DBSnapshots", "DBSnapshot"),
    "DescribeDBClusterSnapshots": ("DBClusterSnapshots", "DBClusterSnapshot"),
}
MAX_ROWS = 100


class PagingWire(ForwardingWire):
    """Forwards to AWS, and cuts RDS's lists to the `MaxRecords` that were asked for, at most 100."""

    def _forward(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        form = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        status, answered, content = super()._forward(path, headers, body)
        if form.get("Action") not in LISTS or status != 200:
            return status, answered, content
        listed, row = LISTS[form["Action"]]
        first, size = int(form.get("Marker", 0)), int(form.get("MaxRecords", MAX_ROWS))
        return status, answered, page(content.decode(), listed, row, first, size).encode()


def page(text: str, listed: str, row: str, first: int, size: int) -> str:
    """Return a list's rows from `first` on, at most `size` of them, with the marker of the rest."""
    rows = re.findall(rf"<{row}>.*?</{row}>", text, re.DOTALL)
    last = first + size
    marker = f"<Marker>{last}</Marker>" if last < len(rows) else ""
    kept = "".join(rows[first:last])
    return re.sub(rf"<{listed}>.*</{listed}>", lambda _: f"<{listed}>{kept}</{listed}>{marker}", text, flags=re.DOTALL)
