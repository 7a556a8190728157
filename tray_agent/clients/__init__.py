"""What talks to the daemon or to the user: command line, tray. They know no other part's insides."""
