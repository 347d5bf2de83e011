"""The packages that are compared: the product's, the floor's and the usual way's, with bytecode and without.

The product as it is deployed comes from the project's own build. The others have what a plain `sam build` leaves: the
installed requirements next to the sources. Bytecode is then added in the way in which the product adds its own.
"""

import compileall
import hashlib
import py_compile
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.sam import digest
from local.stack import build
from local.tools import ROOT, uv

HERE = Path(__file__).parent
KEPT = ROOT / ".aws-sam" / "benchmarks"
MAX_KEPT = 20  # folders
HANDLER = "rds_snap_backup.backup.handler"
PRODUCT_HANDLER = f"{HANDLER}.lambda_handler"
CVPYSDK = "cvpysdk==11.44"
REQUIREMENTS = ROOT / "src" / "requirements.txt"


@dataclass(frozen=True)
class Package:
    """A function's package in its own folder."""

    label: str
    folder: Path
    handler: str

    @property
    def zipped(self) -> int:
        """Bytes of the archive that is uploaded, compressed as SAM does it."""
        with tempfile.TemporaryFile() as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(self.folder.rglob("*")):
                    archive.write(path, path.relative_to(self.folder))
            return file.tell()


def product() -> Path:
    """Return the product's package as it is deployed; later builds do not change it."""
    return _kept("product", digest(ROOT), lambda folder: _copy(build() / "BackupFunction", folder))


def packages() -> dict[str, Package]:
    """Build the packages that do not exist yet; return all by their names."""
    pins = {line.split("==")[0]: line.split()[0] for line in REQUIREMENTS.read_text().splitlines() if "==" in line}
    source = ROOT / "src" / "rds_snap_backup"
    ours = product()
    plain = _installed("plain", source, ["--no-deps", "--requirement", str(REQUIREMENTS)])
    floor = _installed("floor", HERE / "floor.py", [pins["boto3"], pins["urllib3"]])
    usual = _installed("usual", HERE / "usual_handler.py", [pins["boto3"], CVPYSDK])
    return {
        "product": Package("product", ours, PRODUCT_HANDLER),
        "floor": Package("floor (a)", _with_bytecode(floor), "floor.lambda_handler"),
        "floor-trimmed": Package("floor on the product's own SDK", _floor_on(ours), "floor.lambda_handler"),
        "plain": Package("plain build (b) with bytecode", _with_bytecode(plain), PRODUCT_HANDLER),
        "plain-source": Package("plain build (b)", plain, PRODUCT_HANDLER),
        "usual": Package("`cvpysdk` (c) with bytecode", _with_bytecode(usual), "usual_handler.lambda_handler"),
        "usual-source": Package("`cvpysdk` (c)", usual, "usual_handler.lambda_handler"),
    }


def _kept(name: str, inputs: str, make: Callable[[Path], None]) -> Path:
    """Return the folder that was made of the same inputs before, else make it."""
    kept = KEPT / f"{name}-{inputs}"
    if not kept.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        for old in sorted(KEPT.iterdir(), key=lambda path: path.stat().st_mtime)[:-MAX_KEPT]:
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            make(Path(folder) / "made")
            (Path(folder) / "made").rename(kept)
    kept.touch()
    return kept


def _installed(name: str, source: Path, requirements: Sequence[str]) -> Path:
    files = sorted(source.rglob("*.py")) if source.is_dir() else [source]
    inputs = hashlib.sha256("".join(requirements).encode() + REQUIREMENTS.read_bytes())
    for path in files:
        inputs.update(path.read_bytes())

    def make(folder: Path) -> None:
        install = [uv(), "pip", "install", "--quiet", "--no-config", "--link-mode", "copy", "--python", sys.executable]
        subprocess.run([*install, "--target", str(folder), *requirements], check=True)
        _copy(source, folder / source.name) if source.is_dir() else shutil.copy(source, folder)

    return _kept(name, inputs.hexdigest()[:16], make)


def _with_bytecode(package: Path) -> Path:
    def make(folder: Path) -> None:
        _copy(package, folder)
        _compile(folder)

    return _kept("bytecode", package.name, make)


def _floor_on(ours: Path) -> Path:
    def make(folder: Path) -> None:
        _copy(ours, folder)
        shutil.copy(HERE / "floor.py", folder)
        _compile(folder)

    inputs = hashlib.sha256((HERE / "floor.py").read_bytes()).hexdigest()[:16]
    return _kept("trimmed", f"{inputs}-{ours.name}", make)


def _compile(folder: Path) -> None:
    with warnings.catch_warnings(action="ignore"):
        compileall.compile_dir(folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def _copy(package: Path, folder: Path) -> None:
    shutil.copytree(package, folder, ignore=None if package.name == "BackupFunction" else _no_bytecode)


_no_bytecode = shutil.ignore_patterns("__pycache__")
