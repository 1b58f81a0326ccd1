"""The audit log: every commit, answer, release, erasure and operator's command, each entry holding the hash of the one before.

Pure: what an entry is and how it is written (`entry`), who signs it (`signing`), what a whole log is held to (`chain`,
`agreement`), and what a witness of it says (`witness`). The catalogue stores it; specs/audit/1.0 publishes it.
"""
