"""Looks for known holes in the packages of the images, and for new ones in the sources.

    python deploy/audit.py

Ends with 1 if there is any. Where the data about packages cannot be had it says which were not
audited, and that is no failure: a machine without a network can still build.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ("ocr", "web", "runners", "service.py", "import_models.py")
# Ruff's rules S101, S301, S311 and S603 are the same checks; each of their exceptions has its
# reason beside it. B403 to B405 are told of imports: what is done with them is checked as well.
SKIPPED = ("B101", "B301", "B311", "B603", "B403", "B404", "B405")
TIMEOUT_S = 600


@dataclass
class Audit:
    """What was found of the packages of one image, and which of them nobody knew."""

    holes: list[str] = field(default_factory=list)
    audited: int = 0
    unknown: list[str] = field(default_factory=list)
    problem: str = ""


def main() -> int:
    """Print what there is; gives the exit status."""
    print("sources:", ", ".join(SOURCES))
    failed = check_sources() != 0
    for requirements in sorted((ROOT / "deploy" / "requirements").glob("*.txt")):
        audit = check_packages(requirements)
        print(told(requirements.name, audit))
        failed = failed or bool(audit.holes)
    return int(failed)


def check_sources() -> int:
    """Run bandit, which prints what it finds; gives its exit status."""
    command = ["bandit", "--quiet", "--recursive", "--skip", ",".join(SKIPPED), *SOURCES]
    return _run(command, capture=False).returncode


def check_packages(requirements: Path) -> Audit:
    """Ask pip-audit about all packages that a file pins."""
    command = ["pip_audit", "--requirement", str(requirements), "--require-hashes"]
    try:
        done = _run([*command, "--disable-pip", "--progress-spinner", "off", "--format", "json"])
        return read_answer(done.stdout)
    except subprocess.TimeoutExpired:
        return Audit(problem=f"no answer within {TIMEOUT_S} s")
    except (ValueError, KeyError):
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return Audit(problem=lines[-1] if lines else f"pip-audit ended with {done.returncode}")


def read_answer(text: str) -> Audit:
    """What pip-audit says, as JSON. Raises ValueError or KeyError if it is something else."""
    audit = Audit()
    for package in json.loads(text)["dependencies"]:
        if "skip_reason" in package:
            audit.unknown.append(package["name"])
            continue
        audit.audited += 1
        for hole in package["vulns"]:
            fixed = ", ".join(hole["fix_versions"]) or "none yet"
            audit.holes.append(
                f"{package['name']} {package['version']}: {hole['id']}, fixed in {fixed}"
            )
    return audit


def told(name: str, audit: Audit) -> str:
    """An audit in words."""
    lines = [f"{name}: {audit.audited} packages audited, {len(audit.holes)} known holes"]
    lines += [f"  {hole}" for hole in audit.holes]
    if audit.problem:
        lines = [f"{name}: NOT AUDITED, the data is unreachable: {audit.problem}"]
    elif audit.unknown and not audit.audited:
        lines = [f"{name}: NOT AUDITED, the data is unreachable: no package was found in it"]
    elif audit.unknown:
        lines.append(f"  NOT AUDITED, unknown there: {', '.join(audit.unknown)}")
    return "\n".join(lines)


def _run(module: Sequence[str], capture: bool = True) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - fixed commands
        [sys.executable, "-m", *module],
        cwd=ROOT,
        capture_output=capture,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


if __name__ == "__main__":
    sys.exit(main())
