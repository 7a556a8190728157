"""Playing: observations in, acts for the guard out."""
