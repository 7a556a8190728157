"""Windows: Raw Input to hear, SendInput to press, Desktop Duplication to see. Importing loads nothing of Windows."""
