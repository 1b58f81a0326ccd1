"""OpenPGP messages, signed and then encrypted: partners' opened by gpg, ours sealed by PySequoia, and their keys."""
