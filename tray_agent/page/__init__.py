"""A session as one HTML file to look at: film, sound, what was pressed, and what a bundle would have pressed."""
