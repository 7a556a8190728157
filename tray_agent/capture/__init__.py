"""From devices to samples: ring buffers, reduction of pictures, features of sound."""
