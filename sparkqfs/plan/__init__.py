"""Pure: configuration and facts in, a plan out. Nothing here knows a wire, a clock or a file."""
