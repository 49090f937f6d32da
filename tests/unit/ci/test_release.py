"""The release recipe in a repository of its own: tag in; archive, checksum and notes out."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.virtual import PROJECT

CHANGELOG = """\
# Changelog

## [Unreleased]

- Not yet.

## [0.2.0] - 2026-12-01

### Added

- Something `quoted` & <odd>.

## [0.1.0] - 2026-11-01

- The first.
"""


def git(folder: Path, *words: str) -> None:
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "-C", str(folder), *author, *words], check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository of version 0.2.0, with a change that is not committed."""
    folder = tmp_path / "a b"
    (folder / "src/pi_speedup").mkdir(parents=True)
    (folder / ".ci").mkdir()
    shutil.copy2(PROJECT / ".ci/release", folder / ".ci")
    (folder / "src/pi_speedup/__init__.py").write_text('"""x"""\n\n__version__ = "0.2.0"\n')
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=now")
    git(folder, "tag", "v0.2.0")
    git(folder, "tag", "v0.3.0")
    (folder / "CHANGELOG.md").write_text("not committed")
    return folder


def release(clone: Path, tag: str, into: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / ".ci/release", tag, into], cwd="/", capture_output=True, text=True, check=False
    )


def test_a_tag_becomes_an_archive_with_checksum_and_notes(clone: Path, tmp_path: Path) -> None:
    into = tmp_path / "out"
    done = release(clone, "v0.2.0", into)
    assert done.returncode == 0, done.stderr
    assert (into / "notes.md").read_text() == "### Added\n\n- Something `quoted` & <odd>.\n\n"
    archive = into / "pi-speedup-0.2.0.tar.gz"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert (into / "SHA256SUMS").read_text() == f"{digest}  pi-speedup-0.2.0.tar.gz\n"
    with tarfile.open(archive) as files:
        assert "pi-speedup-0.2.0/CHANGELOG.md" in files.getnames()
        member = files.extractfile("pi-speedup-0.2.0/CHANGELOG.md")
        assert member is not None and member.read().decode() == CHANGELOG
    again = tmp_path / "again"
    assert release(clone, "v0.2.0", again).returncode == 0
    assert (again / archive.name).read_bytes() == archive.read_bytes()


@pytest.mark.parametrize(
    ("tag", "line"),
    [
        ("main", "main: not a version. Next: name the tag like v0.1.0"),
        ("v9.9.9", "v9.9.9: there is no such tag. Next: git tag v9.9.9"),
        ("v0.3.0", "src/pi_speedup/__init__.py: __version__ is not 0.3.0. Next: "),
    ],
    ids=["no version", "no tag", "another version"],
)
def test_what_does_not_fit_is_refused(clone: Path, tmp_path: Path, tag: str, line: str) -> None:
    done = release(clone, tag, tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith(line) and done.stderr.count("\n") == 1


def test_a_version_without_a_dated_section_is_refused(clone: Path, tmp_path: Path) -> None:
    (clone / "CHANGELOG.md").write_text(CHANGELOG.replace("## [0.2.0] - 2026-12-01", "## [0.2.0]"))
    git(clone, "commit", "--all", "--quiet", "--message=undated")
    git(clone, "tag", "--force", "v0.2.0")
    done = release(clone, "v0.2.0", tmp_path / "out")
    assert done.returncode == 1 and done.stderr.startswith('CHANGELOG.md: no section "## [0.2.0] - DATE"')
