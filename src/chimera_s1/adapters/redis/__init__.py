"""Redis Cluster: quotes and operational events onto streams, read back, and a server to run them
on.

Every adapter here needs a `ClusterClient` of its own (`connect_cluster`) and sends one batch at a
time over it: redis-py's cluster client mixes up ASK redirects, and cuts connections in use, where
several tasks share it.
"""
