"""Where partners' files come from and go to: SFTP servers and plain folders, behind one small protocol."""
