"""coturn with two addresses: STUN for both sides, and TURN over UDP, TCP and TLS."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ADDRESSES = ("198.51.100.10", "198.51.100.11")
NAME = "turn.lab"
USER, PASSWORD = "u", "p"
STUN = "stun:198.51.100.10:3478"
TURN_UDP = "turn:198.51.100.10:3478?transport=udp"
TURN_TCP = "turn:198.51.100.10:3478?transport=tcp"
TURN_TLS = f"turns:{NAME}:5349?transport=tcp"

CONFIG = """\
listening-ip={0}
listening-ip={1}
relay-ip={0}
listening-port=3478
tls-listening-port=5349
cert={folder}/turn.crt
pkey={folder}/turn.key
realm=lab
{credentials}
fingerprint
min-port=49160
max-port=49200
no-cli
log-file=stdout
pidfile={folder}/turn.pid
userdb={folder}/turn.db
"""

RULES = """\
table ip public {
  chain inward { type nat hook prerouting priority -100;
    ip daddr 198.51.100.10 udp dport 19302 dnat to 198.51.100.10:3479
    ip daddr 198.51.100.11 udp dport 19302 dnat to 198.51.100.11:3479
  }
}
"""
"""The best known public STUN servers listen on 19302. Not translated to 3478, where others ask directly: two flows
that end at the same port would be told apart by another port of the sender, and every router look symmetric."""


def prepare(folder: Path, secret: str = "") -> Path:
    """The configuration, with a certificate of its own for `NAME` in `turn.crt`.

    With a `secret` it takes credentials that are made of it; otherwise `USER` and `PASSWORD`.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "turn.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "turn.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    file = folder / "turnserver.conf"
    fixed = f"lt-cred-mech\nuser={USER}:{PASSWORD}"
    credentials = f"use-auth-secret\nstatic-auth-secret={secret}" if secret else fixed
    file.write_text(CONFIG.format(*ADDRESSES, folder=folder, credentials=credentials))
    return file
