"""Other programs' recordings become sessions of ours, item by item (see FORMATS.md)."""
