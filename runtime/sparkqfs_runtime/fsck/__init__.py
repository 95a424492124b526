"""Which files are lost or have too few copies: what `invoke fsck` runs in the container of the storage's master."""
