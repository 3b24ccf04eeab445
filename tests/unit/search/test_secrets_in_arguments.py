"""Secrets of the command line move to variables, and nothing else does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.masking import holds_secret
from search.secrets_in_arguments import VARIABLES, without_secrets
from search.workspace import PROJECT

SECRET = "postgresql://me:secret@host/name"
PLAIN = "postgresql://me@host/name"

COMMAND = """
import json, os, sys
from pathlib import Path
from search.cli import run_command
from search.options import StorageOption, TrackingUriOption

def main(storage: StorageOption = None, tracking_uri: TrackingUriOption = None) -> None:
    line = Path("/proc/self/cmdline").read_text().split(chr(0))
    print(json.dumps([os.getpid(), storage, tracking_uri, line[1:-1]]))

if __name__ == "__main__":
    run_command(main)
"""


@pytest.mark.parametrize(
    ("arguments", "kept", "moved"),
    [
        ([], [], {}),
        (["--storage", PLAIN, "--trials", "3"], ["--storage", PLAIN, "--trials", "3"], {}),
        (["--storage", SECRET, "--trials", "3"], ["--trials", "3"], {"DEEPREC_STORAGE": SECRET}),
        (["--trials", "3", f"--storage={SECRET}"], ["--trials", "3"], {"DEEPREC_STORAGE": SECRET}),
        (
            ["--tracking-uri", "http://token@host", "--storage", PLAIN],
            ["--storage", PLAIN],
            {"MLFLOW_TRACKING_URI": "http://token@host"},
        ),
        (["--storage", SECRET, f"--storage={PLAIN}"], [], {"DEEPREC_STORAGE": PLAIN}),
        (["--storage", SECRET, "--storage", ""], [], {"DEEPREC_STORAGE": ""}),
        (["--storage"], ["--storage"], {}),
        (["--", "--storage", SECRET], ["--", "--storage", SECRET], {}),
        (["--elsewhere", SECRET], ["--elsewhere", SECRET], {}),
    ],
)
def test_flags_with_secrets_become_variables(
    arguments: list[str], kept: list[str], moved: dict[str, str]
) -> None:
    assert without_secrets(arguments, VARIABLES) == (kept, moved)


@pytest.mark.parametrize(
    ("url", "is_secret"),
    [
        (SECRET, True),
        ("postgresql://me:se/cret@host/name", True),
        ("postgresql://me:se@cret@host/name", True),
        ("postgresql://host/name?password=secret", True),
        ("postgresql://host/name?sslmode=require&PASSWORD=secret", True),
        ("postgresql://host/name?sslmode=require&user=me", False),
        (PLAIN, False),
        ("postgresql://me@host:5432/name", False),
        ("sqlite:////a:b@c/name.db", False),
        ("http://host:5000", False),
        ("http://host:5000/me@home", False),
        ("http://me:secret@host:5000", True),
        ("https://token@host", True),
        ("https://host/?access_token=secret", True),
    ],
)
def test_what_is_a_secret(url: str, is_secret: bool) -> None:
    assert holds_secret(url) is is_secret


@pytest.mark.parametrize("form", [["--storage", SECRET], [f"--storage={SECRET}"]])
def test_a_command_starts_again_in_its_process_without_its_secrets(
    tmp_path: Path, form: list[str]
) -> None:
    (tmp_path / "command.py").write_text(COMMAND, encoding="utf-8")
    arguments = [sys.executable, "-X", "utf8", "-m", "command", *form, "--tracking-uri", "a b"]
    with subprocess.Popen(
        arguments,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{PROJECT}", "DEEPREC_STORAGE": PLAIN},
        stdout=subprocess.PIPE,
    ) as process:
        out, _ = process.communicate(timeout=60)
    left = ["-X", "utf8", "-m", "command", "--tracking-uri", "a b"]
    assert json.loads(out) == [process.pid, SECRET, "a b", left]


def test_a_flag_that_a_command_does_not_have_stays_its_mistake() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "search.recommend", "1", "--storage", SECRET],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: No such option: --storage")
    assert "secret" not in done.stderr
