"""Trust: the TLS context of every connection to Commvault, and the private CA that a parameter names.

With a private CA's bundle, the bundle is the only trust. Nothing in the environment weakens it.
"""

import ssl
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


def ca_certificates(parameter: str, client: "SSMClient") -> str | None:
    """Return the PEM bundle in an SSM parameter, None if none is named; raise LookupError if it cannot be read."""
    if not parameter:
        return None
    try:
        return client.get_parameter(Name=parameter, WithDecryption=True)["Parameter"]["Value"]
    except (BotoCoreError, ClientError) as error:
        raise LookupError(f"CaCertificateParameter {parameter} cannot be read: {error}") from None


def tls_context(ca_certificates: str | None) -> ssl.SSLContext:
    """Return a context that trusts a PEM bundle, or for None the system's CAs; raise LookupError for an unusable one."""
    # Not ssl.create_default_context(), which writes the keys of every session to the file that SSLKEYLOGFILE names.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if ca_certificates is None:
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        # OpenSSL's own place, or SSL_CERT_FILE and SSL_CERT_DIR: a runtime may keep the public CAs elsewhere.
        context.load_default_certs()
        return context
    # Not strict: many a company's own CA lacks the newer extensions. Signatures, dates, names and what a certificate
    # may sign are verified.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        # A bundle's comments may be in any language; the certificates are ASCII.
        context.load_verify_locations(cadata=ca_certificates.encode("ascii", "replace").decode())
    except (ssl.SSLError, ValueError) as error:
        raise LookupError(f"CaCertificateParameter does not hold a PEM bundle: {error}") from None
    return context
