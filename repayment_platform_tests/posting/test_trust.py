"""Posting to a Fineract on TLS: nothing leaves before its certificate is trusted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from repayment_platform_tests.certificates import BAD, SAYS, UNKNOWN_CA, Certificates, showing
from repayment_platform_tests.posting.conftest import Bench
from repayment_platform_tests.sandbox.server import API, Server, serving


@pytest.fixture
def fineract(certificates: Certificates, tmp_path: Path) -> Iterator[Server]:
    """A sandbox whose certificate a private CA has signed."""
    certificate = ("--certificate", str(certificates["good"]))
    with serving(tmp_path / "ledger.sqlite", *certificate, ca=certificates.ca) as server:
        saved = server.admin.post("/sandbox/loans", json=[{"externalId": "LN-1"}])
        assert saved.status_code == 200
        yield server


def test_a_private_ca_that_is_named_is_trusted_and_one_that_is_not_gets_nothing(
    bench: Bench, certificates: Certificates, fineract: Server
) -> None:
    key = bench.payment()
    address = fineract.root_url + API

    stopped = bench.post_stopped(fineract_base_url=address)

    assert stopped.stopped == SAYS[UNKNOWN_CA]
    assert bench.states() == {key: "waiting"}
    assert fineract.requests_of("LN-1") == []

    bench.post(fineract_base_url=address, fineract_ca_file=certificates.ca)

    assert bench.states() == {key: "success"}
    assert [row["externalId"] for row in fineract.ledger_of("LN-1")] == [key]


@pytest.mark.parametrize("fault", BAD)
def test_a_run_ends_with_the_sentence_about_the_certificate_and_nothing_sent(
    bench: Bench, certificates: Certificates, fault: str
) -> None:
    key = bench.payment()
    with showing(certificates[fault]) as (address, asked):
        stopped = bench.post_stopped(fineract_base_url=address, fineract_ca_file=certificates.ca)
    assert stopped.stopped == SAYS[fault]
    assert bench.states() == {key: "waiting"}
    assert asked == []
