"""Binance SPOT and USD-M FUTURES: public market data over WebSocket, public reads over REST."""
