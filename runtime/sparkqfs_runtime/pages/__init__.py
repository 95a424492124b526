"""Web pages: guards in front of those of the daemons, and our own."""
