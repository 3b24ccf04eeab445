"""Benchmarks: every figure side by side with what it is compared to, in one run.

``python -m tests.benchmarks`` measures all rows and prints one table. Not collected by pytest.
"""
