"""The packages that are compared: the product's, the floor's and the usual way's, with bytecode and without.

The product as it is deployed comes from the project's own build. All others are made by a plain `sam build`, which
installs the requirements and copies the sources; bytecode is then added in the way in which the product adds its own.
"""

import compileall
import hashlib
import json
import os
import py_compile
import shutil
import subprocess
import tempfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

from local.sam import digest, sam
from local.stack import build
from local.tools import ROOT, uv

HERE = Path(__file__).parent
KEPT = ROOT / ".aws-sam" / "benchmarks"
MAX_KEPT = 6  # folders
PRODUCT_HANDLER = "rds_snap_backup.submit.handler.lambda_handler"


@dataclass(frozen=True, slots=True)
class Package:
    """A function's package in a folder of its own."""

    name: str
    label: str
    folder: Path
    handler: str

    @property
    def unzipped(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def zipped(self) -> int:
        """Bytes of the archive that is uploaded, compressed as SAM does it."""
        with tempfile.TemporaryFile() as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(self.folder.rglob("*")):
                    archive.write(path, path.relative_to(self.folder))
            return file.tell()


def packages() -> dict[str, Package]:
    """Build what is not there yet, and return all packages by their names."""
    requirements = (ROOT / "src" / "requirements.txt").read_text()
    pins = {line.split("==")[0]: line.split()[0] for line in requirements.splitlines() if "==" in line}
    product = _copy(build() / "SubmitFunction", KEPT / digest(ROOT) / "product")
    plain = _plain("product-plain", ROOT / "src" / "rds_snap_backup", requirements)
    floor = _plain("floor", HERE / "floor.py", f"{pins['boto3']}\n{pins['urllib3']}\n")
    usual = _plain("usual", HERE / "usual_handler.py", f"{pins['boto3']}\ncvpysdk==11.44\n")
    made = [
        Package("product", "product", product, PRODUCT_HANDLER),
        Package("product-source", "product without bytecode", _copy(product, without="__pycache__"), PRODUCT_HANDLER),
        Package("floor", "floor (a)", _with_bytecode(floor), "floor.lambda_handler"),
        Package("floor-source", "floor (a) without bytecode", floor, "floor.lambda_handler"),
        Package("floor-trimmed", "floor on the product's own SDK", _floor_on(product), "floor.lambda_handler"),
        Package("plain", "plain `sam build` (b) with bytecode", _with_bytecode(plain), PRODUCT_HANDLER),
        Package("plain-source", "plain `sam build` (b)", plain, PRODUCT_HANDLER),
        Package("usual", "`cvpysdk` (c) with bytecode", _with_bytecode(usual), "usual_handler.lambda_handler"),
        Package("usual-source", "`cvpysdk` (c)", usual, "usual_handler.lambda_handler"),
    ]
    for old in sorted(KEPT.iterdir(), key=lambda path: path.stat().st_mtime)[:-MAX_KEPT]:
        shutil.rmtree(old)
    return {package.name: package for package in made}


def _plain(name: str, source: Path, requirements: str) -> Path:
    """Run a plain `sam build` on a function, unless the same was built before; return its package."""
    files = sorted(source.rglob("*.py")) if source.is_dir() else [source]
    inputs = hashlib.sha256(requirements.encode() + b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    built = KEPT / f"{name}-{inputs}"
    if not built.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            _sam_build(Path(folder), source, requirements).rename(built)
    built.touch()
    return built / "Function"


def _sam_build(folder: Path, source: Path, requirements: str) -> Path:
    code = folder / "code"
    code.mkdir()
    if source.is_dir():
        shutil.copytree(source, code / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, code)
    (code / "requirements.txt").write_text(requirements)
    function = {"CodeUri": "code", "Handler": "h.h", "Runtime": "python3.13", "Architectures": [_architecture()]}
    resources = {"Function": {"Type": "AWS::Serverless::Function", "Properties": function}}
    template = {"Transform": "AWS::Serverless-2016-10-31", "Resources": resources}
    (folder / "template.json").write_text(json.dumps(template))
    # The Python that a plain build looks for on the PATH must have pip.
    subprocess.run([uv(), "venv", "--quiet", "--seed", "--python", "3.13", f"{folder}/venv"], check=True)
    path = {"PATH": f"{folder}/venv/bin:{os.environ['PATH']}", "AWS_DEFAULT_REGION": "us-east-1"}
    sam("build", "--template-file", "template.json", "--build-dir", "built", root=folder, environment=path)
    return folder / "built"


def _architecture() -> str:
    return "arm64" if os.uname().machine == "aarch64" else "x86_64"


def _copy(package: Path, to: Path | None = None, without: str = "") -> Path:
    """Copy a package to where no later build removes it, or to beside itself, and leave out what is named."""
    made = to or package.with_name(f"{package.name}-bare")
    if not made.exists():
        fresh = made.with_name(f"{made.name}-fresh")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(package, fresh, ignore=shutil.ignore_patterns(without) if without else None)
        fresh.rename(made)
    made.parent.touch()
    return made


def _with_bytecode(package: Path) -> Path:
    made = _copy(package, package.with_name("bytecode"))
    if not any(made.glob("**/__pycache__")):
        with warnings.catch_warnings(action="ignore"):
            compileall.compile_dir(made, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    return made


def _floor_on(product: Path) -> Path:
    made = _copy(product, product.with_name("floor"))
    if not (made / "floor.py").exists():
        shutil.copy(HERE / "floor.py", made)
        compileall.compile_file(
            made / "floor.py", quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
    return made
