"""Binance SPOT and USD-M FUTURES.

`http/` has the client of every REST request, `streams/` the WebSocket connections; each module (or
package) beside them implements the ports of one capability.
"""
