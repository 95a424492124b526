"""verify and the benchmarks."""
