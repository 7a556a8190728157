"""What a person touches: command line and tray. They show status and send requests, and hold no state of the game."""
