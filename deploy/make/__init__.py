"""What `make` calls: its words, pyinfra's API behind them, and the verbs that only look."""
