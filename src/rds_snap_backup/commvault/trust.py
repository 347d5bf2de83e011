"""Whom the client trusts: the TLS context of every connection to Commvault. Nothing in the environment weakens it.

With a private CA's bundle, the bundle is the only trust. What a failed verification is called is `failures.py`'s matter.
"""

import ssl


def trusting(ca_certificates: str | None) -> ssl.SSLContext:
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
    # may sign are verified all the same.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        # A bundle's comments may be in any language; the certificates are ASCII.
        context.load_verify_locations(cadata=ca_certificates.encode("ascii", "replace").decode())
    except (ssl.SSLError, ValueError) as error:
        raise LookupError(f"CaCertificateParameter does not hold a PEM bundle: {error}") from None
    return context
