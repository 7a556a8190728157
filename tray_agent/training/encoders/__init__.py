"""What turns pictures into features, behind one interface: see `source.make_encoder`. Imported by the trainer alone."""
