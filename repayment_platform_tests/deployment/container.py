"""A machine whose parts are given what compose gives them, and may write where they may there.

What belongs here: reading compose.yaml, example.env and the Containerfile. What does not: Docker;
nothing here shows that the image can be built.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml
from dotenv import dotenv_values

from repayment_platform.settings import ROOT, Settings
from repayment_platform_tests.deployment.machine import Machine

FOLDER = ROOT / "deploy" / "container"
PORTS = {
    "code-server": "CODE_SERVER_PORT",
    "webserver": "DAGSTER_PORT",
    "webhooks": "WEBHOOK_PORT",
    "operations": "OPS_PORT",
    "metrics": "METRICS_PORT",
}
"""The setting that says where a part listens."""
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def default_ports() -> dict[str, int]:
    """Where each part listens that is told nothing else."""
    return {part: Settings.model_fields[name.lower()].default for part, name in PORTS.items()}


@cache
def services() -> dict[str, dict[str, Any]]:
    """The services of compose.yaml, merged."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / "compose.yaml").read_text())[
        "services"
    ]
    return found


def variables() -> set[str]:
    """What compose.yaml takes from the file beside it."""
    return {name for name, _ in _VARIABLE.findall((FOLDER / "compose.yaml").read_text())}


def image_environment() -> dict[str, str]:
    """The ENV lines of the Containerfile."""
    lines = re.findall(r"^ENV (.*)$", (FOLDER / "Containerfile").read_text(), re.MULTILINE)
    return dict(pair.split("=", 1) for line in lines for pair in line.split())


@dataclass
class Container(Machine):
    """What the image holds, below a folder that stands for `/`; the project cannot be written."""

    given: Mapping[str, str] = field(default_factory=dict)
    """The file beside compose.yaml, filled in."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """What stands for the names and ports of compose's network, and for ports of the image."""
    more: Mapping[str, str] = field(default_factory=dict)

    def fill_in(self, given: Mapping[str, str]) -> None:
        """Fill in the example; a name that it has not is refused."""
        example = dotenv_values(FOLDER / "example.env")
        assert set(given) <= set(example)
        self.given = {name: value or "" for name, value in example.items()} | dict(given)

    def environment(self, part: str) -> dict[str, str]:
        """The image's variables and those of compose, and no others."""
        asked = services()[part]["environment"]
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.project)}
        env |= {name: self.there(value) for name, value in image_environment().items()}
        env |= {name: self._filled(str(value)) for name, value in asked.items()}
        return env | self.more

    def start(self, part: str) -> None:
        """The entry point with the part's command."""
        text = (FOLDER / "Containerfile").read_text()
        [entry] = re.findall(r'^ENTRYPOINT \["(.*)"\]$', text, re.MULTILINE)
        self._start(part, (self.there(entry), *services()[part]["command"]), 0o022)

    def _filled(self, value: str) -> str:
        value = _VARIABLE.sub(lambda found: self.given[found[1]] or found[2] or "", value)
        for name, here in self.hosts.items():
            value = value.replace(name, here)
        return value
