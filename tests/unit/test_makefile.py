"""What the Makefile leaves out of a run to save time is nothing that the run is for."""

import re

from search.config.addresses import PROJECT

MARK = "mark." + "storm"


def test_make_faults_looks_for_storms_wherever_there_are_some() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    line = re.search(r"^STORMS := (.*)$", makefile, re.MULTILINE)
    assert line is not None
    folders = {PROJECT / folder for folder in line[1].split()}
    found = [path for path in PROJECT.glob("tests/**/test_*.py") if MARK in path.read_text("utf-8")]
    where = {next(iter(folders & {*path.parents}), path) for path in found}
    assert where == folders
