"""Redis Cluster: writes and reads the streams, and runs an embedded cluster.

Every adapter needs its own `ClusterClient` and runs one batch at a time on it: shared between
tasks, redis-py's cluster client mixes up ASK redirects and closes connections in use.
"""
