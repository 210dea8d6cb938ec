"""docs/backup.md names what there is; that its steps lead where it says is tested with kills."""

import re

from typer.main import get_command

from repayment_platform.cli import app
from repayment_platform_tests.machine import Page

PAGE = Page.read("backup.md")
NAME = re.compile(r"\$(\w+)")
COMMAND = re.compile(r"^\./run ([\w-]+)(.*)$", re.M)


def test_each_name_is_chosen_at_the_top_and_used_below() -> None:
    used = {name for _, commands in PAGE.blocks[1:] for name in NAME.findall(commands)}
    assert used - {"PWD"} == PAGE.names


def test_each_command_and_option_is_one_of_run() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    typed = [found for _, block in PAGE.blocks for found in COMMAND.findall(block)]
    assert {"backup", "restore", "up", "doctor"} <= {name for name, _ in typed}
    for name, rest in typed:
        options = {option for given in commands[name].params for option in given.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= options, name
