"""Where the Monte-Carlo loop runs: on this machine's processor or GPU."""
