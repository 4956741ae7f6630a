"""Fixtures of the Redis adapter's own tests."""

from tests.contract.redis_cluster import redis_binary

__all__ = ["redis_binary"]
