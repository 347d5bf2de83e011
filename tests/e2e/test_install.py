"""The zip of `make package`, deployed with only the AWS CLI, by the commands of the README in it."""

import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.package import write
from local.stack import deployed
from local.tools import command
from tests.e2e.conftest import ALONE, CANARY
from tests.e2e.product import CLIENT, only
from tests.evidence import Evidence

pytestmark = pytest.mark.e2e

CA_PARAMETER = "/installed/ca"
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def steps(readme: str, settings: dict[str, str]) -> dict[str, str]:
    """Return the README's commands for deploying by what they do, with its words in capitals replaced."""
    names = ("unpack", "upload", "deploy", "token", "check", "backup", "command line")
    blocks = dict(zip(names, BLOCK.findall(readme), strict=True))
    assert set(re.findall(r"=([A-Z_]+)\b", blocks["deploy"])) == settings.keys()
    blocks["deploy"] = re.sub(r"=([A-Z_]+)\b", lambda found: f"={settings[found[1]]}", blocks["deploy"])
    return blocks


def run(script: str, folder: Path, aws: Emulator, answer: str = "") -> str:
    """Run commands as a user does, with the AWS CLI and nothing else of this project on the PATH."""
    path = os.pathsep.join([str(Path(*command("aws")).parent), os.defpath])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "UV"))}
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env=inherited | aws.environment | {"PATH": path, "AWS_PAGER": ""},
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_readme_ends_in_a_backup(aws: Emulator, evidence: Evidence, tmp_path: Path) -> None:
    package, *_ = write(tmp_path / "dist")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / package.stem
    with CommServe(token=CANARY, job_seconds=3600) as commserve:
        evidence.add("installed", commserve)
        aws.client("ssm").put_parameter(Name=CA_PARAMETER, Value=commserve.ca_pem, Type="String")
        # The rest is this machine's: the CommServe's own authority, and no events and schedules of other tests.
        more = {"CaCertificateParameter": CA_PARAMETER, **ALONE}
        last = " ".join(["backups@example.com", *(f"{name}={value}" for name, value in more.items())])
        names = {"CLIENT": CLIENT, "INSTANCE": "RDS", "SUBCLIENT": "nightly", "DATABASES": "orders-*"}
        todo = steps((folder / "README.md").read_text(), names | {"API_URL": commserve.url, "EMAIL": last})
        run(todo["upload"] + todo["deploy"], folder, aws)
        deployed(aws, "rds-snap-backup", more)
        output = run(todo["token"] + todo["check"] + todo["backup"], folder, aws, answer=f"{commserve.token}\n")
        assert '"ok":true' in output.replace(" ", "")
        job = only(list(commserve.jobs.values()))
        assert (job.group, f'"{job.id}"' in output) == ("nightly", True)
        # Nothing of it is to run when its CommServe has gone.
        aws.client("cloudformation").delete_stack(StackName="rds-snap-backup")
