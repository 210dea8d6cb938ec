"""Whom to trust with money and the password, and what to do where that is refused.

What belongs here: certificates that are trusted, addresses that need no TLS, and words for what
is wrong with a certificate. What does not: connections (`wire`). Nothing here, and no setting,
switches the verification off.
"""

import ssl
from functools import cache
from ipaddress import ip_address
from pathlib import Path

# Numbers of OpenSSL's X509_V_ERR_….
_EXPIRED, _NOT_YET_VALID, _SELF_SIGNED = 10, 9, 18
_UNKNOWN_CA = frozenset({2, 19, 20, 21})
"""No chain leads to a CA that is known: the CA is missing here, or one in between is missing in
what the server sends."""
_WRONG_NAME = frozenset({62, 64})
"""Of a host, of an IP address."""
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
"""How OpenSSL takes an answer that is no TLS at all, by its version."""


class UnusableCaFileError(ValueError):
    """A file of certificates cannot be used; the message says why."""


@cache
def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """TLS that trusts the CAs of a PEM file and no others, or without a file the system's.

    Loaded once for a process: loading the system's for every client costs a visible moment.

    Raises:
        UnusableCaFileError: the file cannot be read, or holds no certificate in PEM.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise UnusableCaFileError(f"{ca_file} holds no certificate in PEM") from None
    except OSError as error:
        raise UnusableCaFileError(f"{ca_file} cannot be read: {error.strerror}") from None
    if ca_file is not None and not context.cert_store_stats()["x509"]:
        raise UnusableCaFileError(f"{ca_file} holds no certificate in PEM")
    return context


def needs_tls(host: str) -> bool:
    """Whether what is sent to this host leaves this machine."""
    if host == "localhost":
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


def why_not_trusted(error: ssl.SSLCertVerificationError, host: str) -> str:
    """What is wrong with Fineract's certificate, and what to do, in one sentence."""
    code = error.verify_code
    if code == _EXPIRED:
        return "Fineract's certificate has expired: put a new one into Fineract's key store"
    if code == _NOT_YET_VALID:
        return "Fineract's certificate is not valid yet: is the clock of this machine right?"
    if code == _SELF_SIGNED:
        return (
            "Fineract's certificate is self-signed, nobody vouches for it: give Fineract one of a "
            "CA, or set FINERACT_CA_FILE to a PEM file of this very certificate"
        )
    if code in _UNKNOWN_CA:
        return (
            "Fineract's certificate is of a CA that is not trusted here: set FINERACT_CA_FILE to a "
            "PEM file of that CA's certificate, and have Fineract send those in between"
        )
    if code in _WRONG_NAME:
        return (
            f"Fineract's certificate is not for {host}: set FINERACT_BASE_URL to a name that it "
            "bears, or give Fineract one for this name"
        )
    return (
        f"Fineract's certificate cannot be verified ({error.verify_message}): give Fineract "
        "another one"
    )


def why_no_tls(error: OSError) -> str | None:
    """What to do where a server answers a TLS greeting with something else; None for others."""
    if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
        return "Fineract speaks no TLS at this address: is its port right, and TLS on there?"
    return None
