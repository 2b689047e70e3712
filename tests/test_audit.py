"""What the audit makes of pip-audit's answers, and that what it could not audit is seen."""

import json
import subprocess
from pathlib import Path
from typing import Any

import audit
import pytest

SOUND = {"name": "sound", "version": "1.0", "vulns": []}
HOLED = {
    "name": "holed",
    "version": "2.0",
    "vulns": [{"id": "CVE-2026-1", "fix_versions": ["2.1"], "aliases": [], "description": ""}],
}
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found on PyPI"}


def answer(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_holes_are_told_with_what_mends_them() -> None:
    found = audit.read_answer(answer(SOUND, HOLED))
    assert found.holes == ["holed 2.0: CVE-2026-1, fixed in 2.1"]
    assert audit.told("cpu.txt", found).startswith("cpu.txt: 2 packages audited, 1 known holes")


def test_what_is_unknown_is_not_called_sound() -> None:
    some = audit.told("cpu.txt", audit.read_answer(answer(SOUND, UNKNOWN)))
    assert "1 packages audited" in some and "NOT AUDITED, unknown there: unknown" in some
    none = audit.told("cpu.txt", audit.read_answer(answer(UNKNOWN, UNKNOWN)))
    assert "NOT AUDITED, the data is unreachable" in none and "0 known" not in none


@pytest.mark.parametrize(
    ("stdout", "stderr", "status", "words"),
    [
        (answer(SOUND), "", 0, "1 packages audited"),
        (answer(HOLED), "", 1, "CVE-2026-1"),
        (answer(UNKNOWN), "", 0, "NOT AUDITED"),
        ("", "ConnectionError: no such host\n\n", 0, "NOT AUDITED, the data is unreachable: Conn"),
        ("", "", 0, "NOT AUDITED, the data is unreachable: pip-audit ended with 3"),
    ],
)
def test_it_fails_for_holes_only(
    stdout: str,
    stderr: str,
    status: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
        if "bandit" in command:
            return subprocess.CompletedProcess(command, 0, "", "")
        return subprocess.CompletedProcess(command, 3, stdout, stderr)

    monkeypatch.setattr(subprocess, "run", run)
    assert audit.main() == status
    assert words in capsys.readouterr().out


def test_the_static_check_finds_what_it_is_there_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "ROOT", tmp_path)
    for name in audit.SOURCES:
        place = tmp_path / name
        if not place.suffix:
            place.mkdir()
            place = place / "module.py"
        place.write_text("")
    assert audit.check_sources() == 0
    (tmp_path / "ocr" / "module.py").write_text("import os\nos.system(input())\n")
    assert audit.check_sources() == 1
