"""What the model's users need from outside, one module a port; who implements each:

| port | adapters |
|---|---|
| `clock.Clock` | system, memory |
| `market_feed.MarketFeed` | binance, memory |
| `recording.Recording` | binance |
| `exchange_information.ExchangeInformation` | binance, memory |
| `quote_publisher.QuotePublisher` | redis, memory |
| `quote_reader.QuoteReader` | redis, memory |
| `operations_log.OperationsLog` | redis, memory |
| `market_status.MarketStatus` | redis, memory |
| `token_store.TokenStore` | system (a file), memory |
"""
