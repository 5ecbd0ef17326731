"""Measurements that compare two ways in one run: `python -m benchmarks.NAME`. What they say: docs/performance.md."""
