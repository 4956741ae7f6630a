"""
Fixtures of all contract suites.
"""

from tests.contract.redis_cluster import redis_binary, redis_cluster, redis_single_node

__all__ = ["redis_binary", "redis_cluster", "redis_single_node"]
