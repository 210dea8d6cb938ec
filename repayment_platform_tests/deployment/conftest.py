"""A PostgreSQL of somebody else's, and a folder to install below."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from repayment_platform_tests.deployment.cluster import Cluster, running_cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        yield running


@pytest.fixture
def root(cluster: Cluster) -> Iterator[Path]:
    """A folder that stands for `/`, beside a server without a role or database of ours."""
    cluster.remove_everything()
    made = Path(tempfile.mkdtemp(prefix="repayment-machine-"))
    yield made
    shutil.rmtree(made)
