"""Benchmarks. Each prints one JSON object; figures are ratios within one run, since machines differ and are noisy."""
