"""Sound the machine plays, as 16 kHz mono chunks on the desktop's clock."""
