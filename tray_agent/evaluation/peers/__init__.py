"""Other ways to learn the same from the same recordings, to compare ours with.

`peer` what a peer is; `registry` all of them; `recordings` sessions -> arrays. A module per peer: `imitation_bc`,
`plain`, `clip`, `lstm`, `neighbours` (with `shipped_encoder` a second one); the rest is what they share. Torch and the
peers' libraries are imported when a peer is made, never before.
"""
